// Does a fleet meet the question's objectives? Simulation with its confidence interval decides.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/scenario.hpp"
#include "planner/candidate.hpp"
#include "planner/demand.hpp"
#include "report/report.hpp"

namespace disagfusion::planner {

enum class Verdict : std::uint8_t { feasible, rejected, undecided };
const char* name_of(Verdict verdict);

struct Judgement {
  Verdict verdict = Verdict::undecided;
  std::string why;                       ///< "p95 71 s (69 to 73) > 60 s"
  std::optional<report::Report> report;  ///< of the last round, where it was simulated
  std::uint64_t requests = 0;            ///< steady: of each replication of that round
  Duration warmup;                       ///< steady: what of them was left out
};

/// Events and seconds that a search may spend; shared by all judgements of one search.
struct Budget {
  double events = 2e8;    ///< left
  double deadline_s = 0;  ///< on `wall_seconds`; 0: none
  double (*wall_seconds)() = nullptr;
  [[nodiscard]] double now() const { return wall_seconds != nullptr ? wall_seconds() : 0; }
  [[nodiscard]] bool spent() const { return !allows(0, 0); }
  /// Enough is left for this much more.
  [[nodiscard]] bool allows(double more_events, double more_seconds) const {
    return events > more_events && (deadline_s <= 0 || now() + more_seconds < deadline_s);
  }
};

/// Judges by rounds: the same fleet with the same random numbers as every other candidate (common
/// random numbers), each round with four times the requests of the last, until every objective's
/// interval lies on one side of its bound.
///
/// Steady workloads: replications of n requests after a warm-up of a fifth of their time. Others
/// are run as given; where nothing is random, one run is the exact answer.
class Judge {
 public:
  Judge(const Question& question, const Demand& demand, Budget& budget)
      : question_(question), demand_(demand), budget_(budget) {}

  /// Problems never come from the fleet (it is rejected then), only from the workload.
  Result<Judgement> judge(const Scenario& scenario) const;

 private:
  struct Measured {
    std::string name;
    double target = 0;
    bool at_least = false;       ///< attainment: at least; latencies: at most
    std::vector<double> values;  ///< by replication
  };
  [[nodiscard]] Judgement compare(const std::vector<Measured>& objectives, bool exact) const;

  const Question& question_;
  const Demand& demand_;
  Budget& budget_;
};

}  // namespace disagfusion::planner
