#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>

#include "base/atomic_file.hpp"
#include "base/file_source.hpp"
#include "base/scenario_reader.hpp"
#include "cli/commands.hpp"
#include "predictor/calibrate.hpp"
#include "predictor/learning_curve.hpp"
#include "predictor/predict.hpp"

namespace disagfusion::cli {

namespace {

constexpr const char* kNone = "none";

struct Options {
  predictor::PredictOptions one;
  std::string csv;
  std::string profile = predictor::kShippedProfile;
  bool json = false, parts = false;
};

predictor::Catalogue catalogue_of(FileSource& files) {
  return predictor::remembering(
      {[&files](const std::string& name) { return load_model(name, files); },
       [&files](const std::string& name) { return load_gpu(name, files); },
       files.shipped_names("models")});
}

/// No profile for `none`, and for the shipped one where there are no shipped files.
Result<std::optional<predictor::Profile>> load_profile(const std::string& path, FileSource& files) {
  std::optional<predictor::Profile> none;
  if (path == kNone) return none;
  const auto text = files.read(path);
  if (!text) {
    if (path == predictor::kShippedProfile && files.shipped_names("models").empty()) return none;
    return fail(Problem{path, 0, 0, "", "a readable profile", text.error(), ""});
  }
  auto profile = predictor::read_profile(files.shown(path), *text);
  if (!profile) return tl::unexpected<Problems>(std::move(profile.error()));
  return std::optional<predictor::Profile>(std::move(*profile));
}

/// What is in no file is in an option.
Problems of_options(Problems problems) {
  for (Problem& problem : problems) {
    if (!problem.file.empty()) continue;
    std::replace(problem.path.begin(), problem.path.end(), '_', '-');
    problem.path = "--" + problem.path;
  }
  return problems;
}

int predict_rows(const Options& options, const predictor::Catalogue& catalogue,
                 const predictor::Profile* profile, FileSource& files) {
  const auto text = files.read(options.csv);
  if (!text) return report({{options.csv, 0, 0, "", "a readable CSV file", text.error(), ""}});
  const Result<std::string> rows = predictor::predict_csv(*text, options.csv, catalogue, profile);
  if (!rows) return report(rows.error());
  std::fputs(rows->c_str(), stdout);
  return kDone;
}

int run(const Options& options) {
  DiskFiles files;
  const predictor::Catalogue catalogue = catalogue_of(files);
  const auto loaded = load_profile(options.profile, files);
  if (!loaded) return report(loaded.error());
  const predictor::Profile* const profile = *loaded ? &**loaded : nullptr;
  if (!options.csv.empty()) return predict_rows(options, catalogue, profile, files);
  predictor::Prediction prediction = predictor::predict(options.one, catalogue, profile);
  if (!prediction.problems.empty()) return report(of_options(std::move(prediction.problems)));
  if (profile != nullptr)
    prediction.advice = predictor::helpful_measurement(options.one, catalogue, *profile);
  const std::string text = options.json
                               ? predictor::prediction_json(options.one, prediction)
                               : predictor::prediction_text(options.one, prediction, options.parts);
  std::fputs(text.c_str(), stdout);
  return kDone;
}

struct Calibration {
  std::string rows, out, date, held_out, curve;
  std::string prior = predictor::kShippedProfile;
};

std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  return fmt::format("{:04}-{:02}-{:02}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday);
}

/// Zero or more problems; nothing is in place before commit().
Problems write_file(const std::string& path, const std::string& text) {
  auto file = AtomicFile::create(path);
  if (!file) return file.error();
  file->write(text);
  const auto written = file->commit();
  return written ? Problems{} : written.error();
}

int write_all(const Calibration& options, const predictor::Profile& profile,
              const std::vector<std::vector<predictor::HeldOut>>& held_out,
              const predictor::MeasuredRows& rows) {
  std::vector<std::pair<std::string, std::string>> files;
  if (!options.held_out.empty())
    files.emplace_back(options.held_out, predictor::held_out_csv(held_out, rows.observations));
  if (!options.curve.empty())
    files.emplace_back(options.curve, predictor::learning_curve_csv(rows.observations));
  files.emplace_back(options.out, predictor::profile_yaml(profile));
  for (const auto& [path, text] : files)
    if (const Problems problems = write_file(path, text); !problems.empty())
      return report(problems);
  return kDone;
}

int run(const Calibration& options) {
  if (!options.date.empty() && !predictor::is_date(options.date))
    return report({{"", 0, 0, "--date", "a date such as 2026-11-24", options.date, ""}});
  DiskFiles files;
  const predictor::Catalogue catalogue = catalogue_of(files);
  const auto text = files.read(options.rows);
  if (!text) return report({{options.rows, 0, 0, "", "a readable CSV file", text.error(), ""}});
  const auto prior = load_profile(options.prior, files);
  if (!prior) return report(prior.error());
  const bool none = !*prior;
  if (!none && !(options.held_out.empty() && options.curve.empty()))
    return report({{"", 0, 0, "--prior", "none where errors are asked for", options.prior, ""}});
  const auto rows = predictor::read_measured_rows(*text, options.rows, catalogue,
                                                  none ? predictor::priors() : (*prior)->posterior);
  if (!rows) return report(rows.error());
  std::vector<std::vector<predictor::HeldOut>> held_out;
  predictor::CalibrateOptions how;
  how.date = options.date.empty() ? today() : options.date;
  how.prior = none ? nullptr : &**prior;
  how.held_out = &held_out;
  const auto profile = predictor::calibrate(*rows, options.rows, how);
  if (!profile) return report(profile.error());
  if (const int status = write_all(options, *profile, held_out, *rows); status != kDone)
    return status;
  std::printf("%s: %zu rows fitted, %zu left out as reference\n", options.out.c_str(),
              rows->observations.size(), rows->left_out);
  if (const std::string doubt = predictor::doubt_of(*profile); !doubt.empty())
    std::fprintf(stderr, "%s: %s\n", options.out.c_str(), doubt.c_str());
  return kDone;
}

void add_calibrate(CLI::App& app, int& status) {
  const auto options = std::make_shared<Calibration>();
  CLI::App* command =
      app.add_subcommand("calibrate", "Fit a profile that scenarios and predict can name");
  command
      ->add_option("rows", options->rows,
                   "Measured rows (CSV): id, model, stage, gpu, seconds, ... as "
                   "configs/profiles/published.csv")
      ->required();
  command->add_option("--prior", options->prior,
                      "A profile to go on from, or none; default the shipped one");
  command->add_option("-o,--out", options->out, "The profile to write")->required();
  command->add_option("--date", options->date, "Written into the profile; default today (UTC)");
  command->add_option("--cross-validate", options->held_out,
                      "CSV of held-out rows to write (with --prior none)");
  command->add_option("--learning-curve", options->curve,
                      "CSV of errors against own measurements to write (with --prior none)");
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace

void add_prediction_commands(CLI::App& app, int& status) {
  add_calibrate(app, status);
  const auto options = std::make_shared<Options>();
  predictor::PredictOptions& one = options->one;
  CLI::App* command = app.add_subcommand("predict", "Predict what a stage takes on a GPU");
  CLI::Option* csv = command->add_option("--csv", options->csv,
                                         "Predict every row of a CSV file: id, model, stage, gpu, "
                                         "... as configs/profiles/published.csv");
  CLI::Option* model =
      command->add_option("--model", one.model, "A model of configs/models, or a model file");
  command->add_option("--stage", one.stage, "encoder, dit, dit_step, decoder, ... or end_to_end");
  command->add_option("--gpu", one.gpu, "A GPU type of configs/hardware, or a data sheet file");
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
  command->add_option("--parallel", one.parallel,
                      "A layout such as cfg2xulysses2, ring4 or ulysses4+fsdp; overrides --degree");
  command
      ->add_option("--prompt-tokens", one.prompt_tokens,
                   "Of the prompt, for models that do not pad it")
      ->check(CLI::Range(1U, 1000000U));
  command
      ->add_option("--vae-tile", one.vae_tile,
                   "Pixels a side that the decoder works on at a time; default all at once")
      ->check(CLI::Range(16U, 65536U));
  command->add_option("--passes", one.passes, "Forward passes a step; default the model's");
  command->add_option("--framework", one.framework, "For example diffusers eager, xDiT compile");
  command->add_option("--profile", options->profile,
                      "A profile of calibrate; none: the roofline; default the shipped one");
  command->add_flag("--offload", one.offload, "Weights are streamed from host memory");
  command->add_flag("--parts", options->parts, "What the seconds are spent on");
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
