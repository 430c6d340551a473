// The FLOP formulas and the shipped models' sizes against what PyTorch's FLOP counter counts in the
// real modules (tests/predictor/data/flop_counts.csv, written by scripts/measure/flop_counts).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/scenario_reader.hpp"
#include "predictor/csv_rows.hpp"
#include "predictor/roofline.hpp"
#include "tests/predictor/scenarios.hpp"

namespace disagfusion::predictor {
namespace {

const std::string kSource = DISAGFUSION_SOURCE_DIR;

struct Counted {
  std::string model, stage;
  Shape shape;
  double text_tokens = 0, linear_flop = 0, attention_flop = 0, parameters = 0;
};

std::vector<Counted> counted_rows() {
  const std::string path = kSource + "/tests/predictor/data/flop_counts.csv";
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  const auto rows = parse_csv(text.str(), path);
  EXPECT_TRUE(rows) << (rows ? "" : testing::text_of(rows.error()));
  std::vector<Counted> result;
  if (!rows) return result;
  std::map<std::string, std::size_t> column;
  for (std::size_t i = 0; i < rows->front().fields.size(); ++i)
    column[rows->front().fields[i].text] = i;
  for (std::size_t i = 1; i < rows->size(); ++i) {
    const auto field = [&](const char* name) { return (*rows)[i].fields[column.at(name)].text; };
    const auto number = [&](const char* name) { return std::stod(field(name)); };
    Counted row{field("model"), field("stage"), {}, 0, 0, 0, 0};
    row.shape.width = static_cast<std::uint32_t>(number("width"));
    row.shape.height = static_cast<std::uint32_t>(number("height"));
    row.shape.frames = static_cast<std::uint32_t>(number("frames"));
    row.text_tokens = number("text_tokens");
    row.linear_flop = number("linear_flop");
    row.attention_flop = number("attention_flop");
    row.parameters = number("parameters");
    EXPECT_EQ(number("batch"), 1);
    result.push_back(std::move(row));
  }
  return result;
}

// ---- tolerances: what the formulas leave out on purpose -----------------------------------------

/// |predicted / counted - 1| at most this.
struct Tolerance {
  const char* model;  ///< a shipped model; "": all others
  const char* what;
  double share;
  const char* reason;
};
constexpr Tolerance kTolerances[] = {
    {"", "DiT linear", 0.0035,
     "left out: embeddings of patches, text and time, modulation, output; SD3's last text block"},
    {"", "DiT attention", 0.0002, "left out: token refiners over the text"},
    {"", "DiT text tokens", 0, "a count"},
    {"", "DiT parameters", 0.004, "stated with two or three digits"},
    {"z-image-turbo", "DiT attention", 0.006,
     "its two refiner layers attend within image or text, counted as joint ones"},
    {"ltx-2-19b", "DiT linear", 0.012, "tokens of the audio itself (25 a second)"},
    {"ltx-2-19b", "DiT attention", 0.035, "the same"},
    {"hunyuanimage-2.1", "DiT attention", 0.005, "the refiner of its text"},
    {"", "encoder FLOP", 1e-5, "a count, stated with six digits"},
    {"", "decoder FLOP", 1e-5, "a count, stated with six digits"},
    {"", "encoder parameters", 0.002, "stated with two or three digits"},
    {"", "decoder parameters", 0.005, "stated in whole millions"},
};

double tolerance(const std::string& model, const std::string& what) {
  double result = -1;
  for (const Tolerance& entry : kTolerances)
    if (what == entry.what && (model == entry.model || (*entry.model == '\0' && result < 0)))
      result = entry.share;
  return result;
}

// ---- the comparison -----------------------------------------------------------------------------

struct Compared {
  std::string what;
  double predicted = 0, counted = 0;
};

std::vector<Compared> compare(const Architecture& model, const Counted& row) {
  if (row.stage == "dit") {
    const DitWork work = dit_work(model, row.shape);
    return {{"DiT linear", work.linear_flop, row.linear_flop},
            {"DiT attention", work.attention_flop, row.attention_flop},
            {"DiT text tokens", static_cast<double>(model.text_seq_in_dit), row.text_tokens},
            {"DiT parameters", model.dit_params_b * 1e9, row.parameters}};
  }
  if (row.stage == "encoder")
    return {{"encoder FLOP", text_flop(model, model.text_max_tokens),
             row.linear_flop + row.attention_flop},
            {"encoder parameters", model.text_params_b * 1e9, row.parameters}};
  return {{"decoder FLOP", vae_flop(model, row.shape), row.linear_flop + row.attention_flop},
          {"decoder parameters", vae_parameters(model), row.parameters}};
}

Architecture shipped(const std::string& name) {
  DiskFiles files(kSource + "/configs");
  const auto model = load_shipped_model(name, files);
  EXPECT_TRUE(model) << name;
  return model && model->architecture ? *model->architecture : Architecture{};
}

std::string where(const Counted& row) {
  if (row.stage == "encoder") return row.model;
  return fmt::format("{} {}x{}x{}", row.model, row.shape.width, row.shape.height, row.shape.frames);
}

TEST(FlopCounts, CoverTheShippedModels) {
  std::set<std::string> models;
  for (const Counted& row : counted_rows())
    if (row.stage == "dit") models.insert(row.model);
  DiskFiles files(kSource + "/configs");
  for (const std::string& name : files.shipped_names("models"))
    EXPECT_TRUE(models.contains(name) || shipped(name).lin_gmac_per_img_token <= 0)
        << name << " has a FLOP formula and no count";
  EXPECT_GE(models.size(), 29U);
}

TEST(FlopCounts, FormulasAndSizesHold) {
  for (const Counted& row : counted_rows())
    for (const Compared& value : compare(shipped(row.model), row))
      EXPECT_NEAR(value.predicted / value.counted, 1, tolerance(row.model, value.what))
          << where(row) << ", " << value.what << ": predicted " << value.predicted << ", counted "
          << value.counted;
}

// What docs/models/flop-counts.md states of an architecture file that gives no counts. The bounds
// are wide because parameters hold tables of words, and decoders have theirs at unlike widths.
TEST(FlopCounts, WithoutCountsParametersStandIn) {
  for (const Counted& row : counted_rows()) {
    Architecture model = shipped(row.model);
    model.text_gmac_per_prompt = model.vae_kflop_per_pixel = 0;
    const double counted = row.linear_flop + row.attention_flop;
    if (row.stage == "encoder") {
      const double ratio = text_flop(model, model.text_max_tokens) / counted;
      EXPECT_TRUE(ratio > 0.96 && ratio < 1.49) << row.model << " " << ratio;
    }
    if (row.stage == "decoder" && model.vae_s == 8) {
      const double ratio = vae_flop(model, row.shape) / counted;
      EXPECT_TRUE(ratio > 0.8 && ratio < 1.5) << row.model << " " << ratio;
    }
  }
}

}  // namespace
}  // namespace disagfusion::predictor
