#include "scheduler/policies/registry.hpp"

#include <string>
#include <utility>
#include <vector>

namespace disagfusion::scheduler {

namespace {

template <class Make>
using Registered = std::vector<std::pair<std::string, Make>>;

/// Finds the factory by name; the loader has refused unknown names with their place already.
template <class Policy, class Make, class... Extra>
std::unique_ptr<Policy> make(const Registered<Make>& known, const PolicySpec& spec,
                             Problems& problems, const Extra&... extra) {
  std::vector<std::string> names;
  for (const auto& [name, factory] : known) {
    names.push_back(name);
    if (name != spec.name) continue;
    MapReader parameters(spec.parameters, problems);
    std::unique_ptr<Policy> policy = factory(parameters, extra...);
    parameters.finish();
    return policy;
  }
  problems.push_back(problem_at(spec.place, "one of " + choice_text(names, {}), spec.name,
                                nearest_name(spec.name, names)));
  return nullptr;
}

}  // namespace

Result<Policies> make_policies(const Setup& setup) {
  static const Registered<decltype(&make_fifo_queue)> kQueues{{"fifo", make_fifo_queue},
                                                              {"deadline", make_deadline_queue}};
  static const Registered<decltype(&make_unlimited_admission)> kAdmissions{
      {"unlimited", make_unlimited_admission}, {"bounded", make_bounded_admission}};
  static const Registered<decltype(&make_most_free_routing)> kRoutings{
      {"most-free", make_most_free_routing}, {"least-completion", make_least_completion_routing}};
  static const Registered<decltype(&make_no_batching)> kBatchings{
      {"none", make_no_batching}, {"equal-shapes", make_equal_shapes_batching}};
  static const Registered<decltype(&make_no_preemption)> kPreemptions{
      {"none", make_no_preemption}, {"deadline", make_deadline_preemption}};
  static const Registered<decltype(&make_static_elasticity)> kElasticities{
      {"static", make_static_elasticity},
      {"schedule", make_schedule_elasticity},
      {"hybrid", make_hybrid_elasticity}};

  Problems problems;
  const PoliciesSpec& wanted = setup.policies;
  Policies policies;
  policies.admission = make<AdmissionPolicy>(kAdmissions, wanted.admission, problems);
  policies.queue = make<QueuePolicy>(kQueues, wanted.queue, problems);
  policies.routing = make<RoutingPolicy>(kRoutings, wanted.routing, problems, setup);
  policies.batching = make<BatchingPolicy>(kBatchings, wanted.batching, problems);
  policies.preemption = make<PreemptionPolicy>(kPreemptions, wanted.preemption, problems);
  policies.elasticity = make<ElasticityPolicy>(kElasticities, wanted.elasticity, problems, setup);
  if (!problems.empty()) return fail(std::move(problems));
  return policies;
}

}  // namespace disagfusion::scheduler
