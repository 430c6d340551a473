// The Azure LLM inference trace of 2023 (github.com/Azure/AzurePublicDataset, CC-BY 4.0; Patel et
// al., "Splitwise", ISCA 2024): one language-model request a row. What a diffusion service can take
// from it is the arrival process: arrival_s is the time since the first row, to the 100 ns of the
// source; ContextTokens and GeneratedTokens are carried as they are, and mean nothing here.
#include "traces/importers/importer.hpp"
#include "traces/importers/source_table.hpp"
#include "traces/trace_writer.hpp"

namespace disagfusion::traces {

namespace {

enum Field : std::size_t { kTimestamp, kContextTokens, kGeneratedTokens };

class AzureLlm2023 : public Importer {
 public:
  [[nodiscard]] std::string_view name() const override { return "azure-llm-2023"; }
  [[nodiscard]] std::string_view summary() const override {
    return "AzureLLMInferenceTrace_conv.csv or _code.csv: arrivals of a language-model service";
  }

  [[nodiscard]] Result<ImportSummary> import(const ImportJob& job) const override {
    auto table = SourceTable::open(job.input, {"TIMESTAMP", "ContextTokens", "GeneratedTokens"});
    if (!table) return tl::unexpected(table.error());
    TraceColumns columns;
    columns.extra = {"ContextTokens", "GeneratedTokens"};
    Result<TraceWriter> writer = TraceWriter::create(job.output, columns, {});
    if (!writer) return tl::unexpected(writer.error());

    Request request;
    request.extra.resize(2);
    std::int64_t first = 0, last = 0;
    for (;;) {
      const Result<bool> got = table->next();
      if (!got) return tl::unexpected(got.error());
      if (!*got) break;
      const std::optional<std::int64_t> at = parse_timestamp(table->cell(kTimestamp));
      if (!at) return table->wrong(kTimestamp, "a time such as 2023-11-16 18:15:46.6805900");
      if (writer->rows() == 0) first = *at;
      if (writer->rows() > 0 && *at < last) return table->wrong(kTimestamp, "times in order");
      last = *at;
      request.arrival = TimePoint{*at - first};
      request.extra[0].assign(table->cell(kContextTokens));
      request.extra[1].assign(table->cell(kGeneratedTokens));
      writer->write(request);
    }
    if (writer->rows() == 0) {
      return fail(Problem{job.input, 1, 0, "", "at least one request", "none", ""});
    }
    const std::uint64_t rows = writer->rows();
    const Result<void> committed = writer->commit();
    if (!committed) return tl::unexpected(committed.error());
    return ImportSummary{
        rows, rows, {"arrivals only: models and shapes come from the scenario's mix"}};
  }
};

}  // namespace

const Importer& azure_llm_2023_importer() {
  static const AzureLlm2023 importer;
  return importer;
}

}  // namespace disagfusion::traces
