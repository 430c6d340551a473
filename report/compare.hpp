// Two results side by side, paired by request: `compare A B`.
//
// With the same requests in both, the difference of each request's latencies d_i = b_i - a_i shows
// far smaller changes than the two means apart (common random numbers). Mean: d +- t s / sqrt(n)
// over the pairs. Percentiles: the difference of the two percentiles, its interval by the paired
// bootstrap: pairs are drawn with replacement, the 2.5 % and 97.5 % points of the differences over
// the draws (B. Efron, R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "report/statistics/intervals.hpp"

namespace disagfusion::report {

/// One statistic in both results.
struct Compared {
  std::string name;                     ///< "mean", "p50", "p95"
  std::optional<double> a, b;           ///< seconds
  Figure difference;                    ///< b - a
  [[nodiscard]] bool differs() const {  ///< the interval excludes 0
    return difference.ci95 && (difference.ci95->lo > 0 || difference.ci95->hi < 0);
  }
};

struct Comparison {
  std::string a, b;  ///< the files
  std::uint64_t requests_a = 0, requests_b = 0, completed_a = 0, completed_b = 0;
  std::uint64_t pairs = 0;               ///< completed in both, by id
  std::uint64_t only_a = 0, only_b = 0;  ///< ids that only one of them has
  std::vector<Compared> latency;         ///< over the pairs
};

/// `a` and `b`: a folder that holds requests.csv, a requests.csv, or a result.json beside one.
Result<Comparison> compare(const std::string& a, const std::string& b);

nlohmann::ordered_json to_json(const Comparison& comparison);
std::string table_text(const Comparison& comparison);

}  // namespace disagfusion::report
