#include "report/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/random.hpp"
#include "traces/requests_csv.hpp"

namespace disagfusion::report {
namespace {

struct Latencies {
  std::string path;
  std::uint64_t requests = 0;
  std::map<std::string, std::optional<double>> by_id;  ///< seconds, where completed
};

std::string requests_file(const std::string& given) {
  namespace fs = std::filesystem;
  if (fs::is_directory(given)) return given + "/requests.csv";
  if (fs::path(given).extension() == ".json") {
    return (fs::path(given).parent_path() / "requests.csv").string();
  }
  return given;
}

Result<Latencies> read(const std::string& given) {
  Latencies all;
  all.path = requests_file(given);
  auto reader = traces::open_requests_csv(all.path);
  if (!reader) return fail(std::move(reader.error()));
  traces::Request request;
  traces::RequestRow row;
  for (;;) {
    auto more = (*reader)->next(request, row);
    if (!more) return fail(std::move(more.error()));
    if (!*more) return all;
    ++all.requests;
    std::optional<double> latency;
    if (row.latency) latency = row.latency->seconds();
    all.by_id[request.id_text()] = latency;
  }
}

struct Pairs {
  std::vector<double> a, b;
  [[nodiscard]] std::size_t size() const { return a.size(); }
};

/// Linear interpolation between order statistics; reorders `values`, which are not empty.
double quantile(std::vector<double>& values, double share) {
  const double h = static_cast<double>(values.size() - 1) * share;
  const auto k = static_cast<std::size_t>(h);
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(values.begin(), at, values.end());
  if (k + 1 == values.size()) return *at;
  const double next = *std::min_element(at + 1, values.end());
  return *at + (h - static_cast<double>(k)) * (next - *at);
}

Interval bootstrap(const Pairs& pairs, double share) {
  constexpr double kWork = 4e7;
  constexpr std::uint64_t kFewest = 200, kMost = 2000;
  const auto n = static_cast<std::uint64_t>(pairs.size());
  const auto draws =
      std::clamp(static_cast<std::uint64_t>(kWork / static_cast<double>(n)), kFewest, kMost);
  std::vector<double> differences, a(n), b(n);
  for (std::uint64_t i = 0; i < draws; ++i) {
    RandomStream stream(0, Purpose::search, i);
    for (std::uint64_t k = 0; k < n; ++k) {
      const auto pick = static_cast<std::size_t>(stream.uniform() * static_cast<double>(n));
      a[k] = pairs.a[pick];
      b[k] = pairs.b[pick];
    }
    differences.push_back(quantile(b, share) - quantile(a, share));
  }
  std::vector<double> copy = differences;
  return {quantile(differences, 0.025), quantile(copy, 0.975)};
}

constexpr std::size_t kFewestForBootstrap = 20;

Compared compare_quantile(const Pairs& pairs, const char* name, double share) {
  Compared compared;
  compared.name = name;
  if (pairs.size() == 0) {
    compared.difference.why = "no request completed in both";
    return compared;
  }
  std::vector<double> a = pairs.a, b = pairs.b;
  compared.a = quantile(a, share);
  compared.b = quantile(b, share);
  compared.difference.value = *compared.b - *compared.a;
  if (pairs.size() < kFewestForBootstrap) {
    compared.difference.why = "fewer than 20 pairs";
  } else {
    compared.difference.ci95 = bootstrap(pairs, share);
  }
  return compared;
}

Compared compare_mean(const Pairs& pairs) {
  Compared compared;
  compared.name = "mean";
  if (pairs.size() == 0) {
    compared.difference.why = "no request completed in both";
    return compared;
  }
  const double n = static_cast<double>(pairs.size());
  std::vector<double> differences;
  double a = 0, b = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    a += pairs.a[i];
    b += pairs.b[i];
    differences.push_back(pairs.b[i] - pairs.a[i]);
  }
  compared.a = a / n;
  compared.b = b / n;
  compared.difference.value = (b - a) / n;
  compared.difference.ci95 = interval_of_mean(differences);
  if (!compared.difference.ci95) compared.difference.why = "fewer than 2 pairs";
  return compared;
}

std::string seconds(std::optional<double> value) {
  return value ? fmt::format("{:.4f} s", *value) : "-";
}

}  // namespace

Result<Comparison> compare(const std::string& a, const std::string& b) {
  auto first = read(a);
  if (!first) return fail(std::move(first.error()));
  auto second = read(b);
  if (!second) return fail(std::move(second.error()));
  Comparison comparison;
  comparison.a = first->path;
  comparison.b = second->path;
  comparison.requests_a = first->requests;
  comparison.requests_b = second->requests;
  Pairs pairs;
  for (const auto& [id, latency] : first->by_id) {
    if (latency) ++comparison.completed_a;
    const auto other = second->by_id.find(id);
    if (other == second->by_id.end()) {
      ++comparison.only_a;
    } else if (latency && other->second) {
      pairs.a.push_back(*latency);
      pairs.b.push_back(*other->second);
    }
  }
  for (const auto& [id, latency] : second->by_id) {
    if (latency) ++comparison.completed_b;
    if (!first->by_id.contains(id)) ++comparison.only_b;
  }
  comparison.pairs = pairs.size();
  comparison.latency.push_back(compare_mean(pairs));
  comparison.latency.push_back(compare_quantile(pairs, "p50", 0.50));
  comparison.latency.push_back(compare_quantile(pairs, "p95", 0.95));
  return comparison;
}

nlohmann::ordered_json to_json(const Comparison& comparison) {
  using nlohmann::ordered_json;
  const auto number = [](std::optional<double> value) {
    return value ? ordered_json(*value) : ordered_json();
  };
  ordered_json json;
  json["schema"] = "disagfusion.compare/1";
  json["a"] = {{"file", comparison.a},
               {"requests", comparison.requests_a},
               {"completed", comparison.completed_a}};
  json["b"] = {{"file", comparison.b},
               {"requests", comparison.requests_b},
               {"completed", comparison.completed_b}};
  json["pairs"] = comparison.pairs;
  json["only_a"] = comparison.only_a;
  json["only_b"] = comparison.only_b;
  for (const Compared& one : comparison.latency) {
    ordered_json& to = json["latency_s"][one.name];
    to["a"] = number(one.a);
    to["b"] = number(one.b);
    to["difference"]["value"] = number(one.difference.value);
    to["difference"]["ci95"] = one.difference.ci95
                                   ? ordered_json{one.difference.ci95->lo, one.difference.ci95->hi}
                                   : ordered_json();
    if (!one.difference.why.empty()) to["difference"]["why"] = one.difference.why;
  }
  return json;
}

std::string table_text(const Comparison& comparison) {
  std::string text =
      fmt::format("  A  {}: {} requests, {} completed\n  B  {}: {} requests, {} completed\n",
                  comparison.a, comparison.requests_a, comparison.completed_a, comparison.b,
                  comparison.requests_b, comparison.completed_b);
  text += fmt::format("  {} completed in both (only A has {} ids, only B {})\n\n", comparison.pairs,
                      comparison.only_a, comparison.only_b);
  text += fmt::format("  {:<9} {:>12} {:>12} {:>12}  {}\n", "latency", "A", "B", "B - A",
                      "95 % interval");
  for (const Compared& one : comparison.latency) {
    std::string interval = one.difference.why;
    if (one.difference.ci95) {
      interval =
          fmt::format("{:+.4f} to {:+.4f} s{}", one.difference.ci95->lo, one.difference.ci95->hi,
                      one.differs() ? "" : "  (no difference shown)");
    }
    text += fmt::format(
        "  {:<9} {:>12} {:>12} {:>12}  {}\n", one.name, seconds(one.a), seconds(one.b),
        one.difference.value ? fmt::format("{:+.4f} s", *one.difference.value) : "-", interval);
  }
  return text;
}

}  // namespace disagfusion::report
