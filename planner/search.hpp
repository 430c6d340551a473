// The search for the best fleet and its proof (design 5).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "planner/judge.hpp"

namespace disagfusion::planner {

/// One fleet that was looked at.
struct Considered {
  Candidate candidate;
  Market::Price price;
  Judgement judgement;
};

enum class Answer : std::uint8_t { feasible, infeasible, undecided };
const char* name_of(Answer answer);

struct Plan {
  Answer answer = Answer::infeasible;
  std::string why;  ///< infeasible: the binding reason; undecided: what is open
  std::optional<Considered> best;
  std::vector<Considered> neighbours;  ///< the best with one instance fewer, each failing
  std::vector<Considered> simulated;   ///< in the order of judging
  Market::Price lower_bound;           ///< no fleet below it can do it
  std::uint64_t considered = 0;        ///< fleets, and cuts of which no fleet was worth simulating
  std::uint64_t pruned = 0;            ///< of these, cuts and fleets that a bound excludes
  /// Of these, fleets that were not judged: the answer came before them, or the budget was spent.
  [[nodiscard]] std::uint64_t left() const { return considered - pruned - simulated.size(); }
  std::vector<StageGroup> groups;
  std::vector<SecondsUsed> seconds_used;  ///< of the best fleet's stages
  Scenario scenario;                      ///< with the best fleet
};

struct SearchOptions {
  double (*wall_seconds)() = nullptr;  ///< for the time limit; absent: none
  std::function<void(const std::string&)> show_progress;
};

/// Objective cost: layouts are pruned by memory, latency without any queue and capacity; their
/// fleets are judged in order of price, so that the first feasible one is the cheapest. Objective
/// throughput: fleets inside the inventory in order of their capacity bound.
Result<Plan> search(const Question& question, const SearchOptions& options);

}  // namespace disagfusion::planner
