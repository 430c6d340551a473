#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/file_source.hpp"
#include "base/scenario_reader.hpp"
#include "cli/commands.hpp"
#include "predictor/predict.hpp"

namespace disagfusion::cli {

namespace {

struct Options {
  predictor::PredictOptions one;
  std::string csv;
  bool json = false;
};

predictor::Catalogue shipped_catalogue(FileSource& files) {
  return predictor::remembering(
      {[&files](const std::string& name) { return load_shipped_model(name, files); },
       [&files](const std::string& name) { return load_shipped_gpu(name, files); }});
}

int run(const Options& options) {
  DiskFiles files;
  const predictor::Catalogue catalogue = shipped_catalogue(files);
  if (!options.csv.empty()) {
    const auto text = files.read(options.csv);
    if (!text) return report({{options.csv, 0, 0, "", "a readable CSV file", text.error(), ""}});
    const Result<std::string> rows = predictor::predict_csv(*text, options.csv, catalogue);
    if (!rows) return report(rows.error());
    std::fputs(rows->c_str(), stdout);
    return kDone;
  }
  const predictor::Prediction prediction = predictor::predict(options.one, catalogue);
  if (!prediction.refused.empty()) {
    std::fprintf(stderr, "predict: %s\n", prediction.refused.c_str());
    return kBadInput;
  }
  const std::string text = options.json ? predictor::prediction_json(options.one, prediction)
                                        : predictor::prediction_text(options.one, prediction);
  std::fputs(text.c_str(), stdout);
  return kDone;
}

}  // namespace

void add_prediction_commands(CLI::App& app, int& status) {
  const auto options = std::make_shared<Options>();
  predictor::PredictOptions& one = options->one;
  CLI::App* command = app.add_subcommand("predict", "Predict what a stage takes on a GPU");
  CLI::Option* csv =
      command->add_option("--csv", options->csv,
                          "Predict every row of a file in the columns of measured_latencies.csv");
  CLI::Option* model = command->add_option("--model", one.model, "A model of configs/models");
  command->add_option("--stage", one.stage, "encoder, dit, dit_step, decoder, ... or end_to_end");
  command->add_option("--gpu", one.gpu, "A GPU type of configs/hardware");
  command->add_option("--width", one.width, "Pixels; default the model's")
      ->check(CLI::Range(1U, 1000000U));
  command->add_option("--height", one.height, "Pixels; default the model's")
      ->check(CLI::Range(1U, 1000000U));
  command->add_option("--frames", one.frames, "Frames; default the model's")
      ->check(CLI::Range(1U, 1000000U));
  command->add_option("--steps", one.steps, "Denoising steps; default the model's")
      ->check(CLI::Range(1U, 1000000U));
  command->add_option("--batch", one.batch, "Images at a time")->check(CLI::Range(1U, 1000000U));
  command->add_option("--dtype", one.dtype, "bf16, fp16, fp8, int8, fp4");
  command->add_option("--degree", one.degree, "GPUs that share one request")
      ->check(CLI::Range(1U, 1000000U));
  command->add_flag("--offload", one.offload, "Weights are streamed from host memory");
  command->add_flag("--json", options->json, "Print one JSON object");
  csv->excludes(model);
  command->callback([options, csv, &status] {
    const predictor::PredictOptions& asked = options->one;
    if (csv->count() == 0 && (asked.model.empty() || asked.stage.empty() || asked.gpu.empty())) {
      throw CLI::RequiredError("--csv, or --model, --stage and --gpu");
    }
    status = run(*options);
  });
}

}  // namespace disagfusion::cli
