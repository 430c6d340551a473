// The table that people read.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "report/report.hpp"

namespace disagfusion::report {

namespace {

constexpr const char* kAbsent = "-";

/// Seconds with a unit that fits: 12.3 ms, 4.08 s, 5 min 12 s, 3.2 h.
std::string duration_text(double s) {
  const double size = std::abs(s);
  if (size == 0) return "0 s";
  if (size < 1e-3) return fmt::format("{:.3g} us", s * 1e6);
  if (size < 1) return fmt::format("{:.3g} ms", s * 1e3);
  if (size < 1000) return fmt::format("{:.4g} s", s);
  if (size < 36000) return fmt::format("{:.0f} s ({:.1f} min)", s, s / 60);
  return fmt::format("{:.0f} s ({:.1f} h)", s, s / 3600);
}

std::string duration_text(const std::optional<double>& s) {
  return s ? duration_text(*s) : std::string(kAbsent);
}

std::string share_text(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f} %", 100 * *share) : std::string(kAbsent);
}

/// The half width of the interval in the figure's own unit.
template <class Text>
std::string with_interval(const Figure& figure, Text text) {
  if (!figure.value) return fmt::format("{} ({})", kAbsent, figure.why);
  std::string out = text(*figure.value);
  if (figure.ci95) {
    out += fmt::format("  [{} .. {}]", text(figure.ci95->lo), text(figure.ci95->hi));
  }
  return out;
}

void add(std::string& out, const std::string& name, const std::string& value) {
  out += fmt::format("  {:<22}{}\n", name, value);
}

class Columns {
 public:
  explicit Columns(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// The first column to the left, the others to the right.
  [[nodiscard]] std::string text() const {
    std::vector<std::size_t> widths(rows_.front().size(), 0);
    for (const auto& row : rows_) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const auto& row : rows_) {
      out += "  ";
      for (std::size_t i = 0; i < row.size(); ++i) {
        out += i == 0 ? fmt::format("{:<{}}", row[i], widths[i])
                      : fmt::format("  {:>{}}", row[i], widths[i]);
      }
      out += "\n";
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
};

std::string rate_text(double per_s) { return fmt::format("{:.4g} /s", per_s); }

std::string requests_text(const OutcomeCounts& counts) {
  std::string text = fmt::format("{} offered, {} completed", counts.offered, counts.completed);
  const auto also = [&](std::uint64_t count, const char* what) {
    if (count > 0) text += fmt::format(", {} {}", count, what);
  };
  also(counts.rejected, "rejected");
  also(counts.timed_out, "timed out");
  also(counts.cancelled, "cancelled");
  also(counts.failed, "failed");
  also(counts.in_flight, "still in flight");
  return text;
}

void add_summary(std::string& out, const Report& report) {
  add(out, "requests", requests_text(report.requests));
  add(out, "verdict", fmt::format("{} ({})", name_of(report.stability), report.stability_why));
  const auto time = [](double s) { return duration_text(s); };
  add(out, "makespan", with_interval(report.makespan_s, time));
  add(out, "throughput", with_interval(report.throughput_rps, rate_text));
  add(out, "mean latency", with_interval(report.latency_mean, time));
  for (std::size_t i = 0; i < report.latency.size(); ++i) {
    const std::string name = i + 1 == report.latency.size()
                                 ? std::string("longest latency")
                                 : fmt::format("{} latency", kLatencyStatistics[i]);
    add(out, name, with_interval(report.latency[i], time));
  }
  add(out, "mean waiting", with_interval(report.wait_mean, time));
  if (report.covers.value && *report.covers.value < 1) {
    add(out, "latency covers", share_text(report.covers.value) + " of the requests");
  }
  for (const ObjectiveReport& objective : report.objectives) {
    const bool share = objective.statistic == "attainment";
    const auto text = [&](double value) {
      return share ? share_text(value) : duration_text(value);
    };
    const char* verdict = !objective.met ? "not judged" : *objective.met ? "met" : "MISSED";
    add(out, "objective",
        fmt::format("{} of {}: {}, wanted {}: {}", objective.statistic, objective.where,
                    with_interval(objective.value, text), text(objective.target), verdict));
  }
  if (report.goodput_rps.value) {
    add(out, "goodput", with_interval(report.goodput_rps, rate_text));
  }
  std::string hours;
  for (const auto& [gpu, value] : report.gpu_hours) {
    hours += fmt::format("{}{:.4g} h of {}", hours.empty() ? "" : ", ", value, gpu);
  }
  add(out, "cost",
      report.usd ? fmt::format("{:.4g} USD{} ({})", *report.usd,
                               report.usd_per_1000 ? fmt::format(", {:.4g} USD per 1000 requests",
                                                                 *report.usd_per_1000)
                                                   : "",
                               hours)
                 : fmt::format("{} ({}; {})", kAbsent, report.usd_why, hours));
}

void add_stages(std::string& out, const Report& report) {
  Columns columns(
      {"stage", "busy", "mean waiting", "mean computing", "mean transfer", "hidden", "blocked"});
  for (const StageReport& stage : report.stages) {
    columns.add({stage.name, share_text(stage.utilization.value), duration_text(stage.wait_s.value),
                 duration_text(stage.service_s.value), duration_text(stage.transfer_s.value),
                 share_text(stage.transfer_hidden.value), duration_text(stage.blocked_s.value)});
  }
  out += "\n" + columns.text();
  Columns pools({"pool", "GPU", "instances", "on average", "busy"});
  for (const PoolReport& pool : report.pools) {
    pools.add({pool.name,
               pool.degree > 1 ? fmt::format("{} x {}", pool.degree, pool.gpu) : pool.gpu,
               fmt::format("{}", pool.count),
               fmt::format("{:.4g}", pool.mean_instances.value.value_or(0)),
               share_text(pool.utilization.value)});
  }
  out += "\n" + pools.text();
}

void add_scaling(std::string& out, const Report& report) {
  if (report.scaling.empty()) return;
  constexpr std::size_t kMost = 20;
  out += fmt::format("\n  {} scaling decision{}\n", report.scaling.size(),
                     report.scaling.size() == 1 ? "" : "s");
  for (std::size_t i = 0; i < std::min(kMost, report.scaling.size()); ++i) {
    const ScalingRow& row = report.scaling[i];
    out += fmt::format("    {:>10} {} instance {}{}{}: {}\n", duration_text(row.t_s), row.action,
                       row.instance, row.from.empty() ? "" : " from " + row.from,
                       row.to.empty() ? "" : " to " + row.to, row.why);
  }
  if (report.scaling.size() > kMost) {
    out += fmt::format("    ... and {} more in the JSON result\n", report.scaling.size() - kMost);
  }
}

void add_sources(std::string& out, const Report& report) {
  out += "\n";
  for (const predictor::CostUse& use : report.costs_used) {
    add(out, "seconds of " + use.stage,
        fmt::format("{} on {}", predictor::name_of(use.source), use.gpu_name));
  }
  add(out, "scheduler believes", report.belief);
  if (report.warmup_s > 0) {
    add(out, "warm-up",
        fmt::format("{}, {} requests left out", duration_text(report.warmup_s),
                    report.warmup_removed));
  }
  if (!report.not_modelled.empty()) {
    out += "\n  not modelled\n";
    for (const std::string& sentence : report.not_modelled) {
      out += fmt::format("    - {}\n", sentence);
    }
  }
}

}  // namespace

std::string table_text(const Report& report) {
  std::string out = fmt::format("{}\n", report.scenario);
  out += fmt::format("  seed {}, {} replication{}{}\n\n", report.seed, report.replications,
                     report.replications == 1 ? "" : "s",
                     report.replications == 1 ? "" : "; [..]: 95 % confidence interval");
  add_summary(out, report);
  add_stages(out, report);
  add_scaling(out, report);
  add_sources(out, report);
  out += fmt::format("\n  {} events, decisions {:016x}\n", report.events, report.decision_hash);
  return out;
}

}  // namespace disagfusion::report
