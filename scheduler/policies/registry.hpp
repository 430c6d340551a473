// Which policies there are: one line a policy. A factory reads its own parameters and reports what
// is wrong with them; it never fails otherwise.
#pragma once

#include <memory>

#include "base/config_reader.hpp"
#include "scheduler/policies/policies.hpp"

namespace disagfusion::scheduler {

std::unique_ptr<AdmissionPolicy> make_unlimited_admission(MapReader& parameters);
std::unique_ptr<AdmissionPolicy> make_bounded_admission(MapReader& parameters);
std::unique_ptr<QueuePolicy> make_fifo_queue(MapReader& parameters);
std::unique_ptr<QueuePolicy> make_deadline_queue(MapReader& parameters);
std::unique_ptr<RoutingPolicy> make_most_free_routing(MapReader& parameters, const Setup& setup);
std::unique_ptr<RoutingPolicy> make_least_completion_routing(MapReader& parameters,
                                                             const Setup& setup);
std::unique_ptr<BatchingPolicy> make_no_batching(MapReader& parameters);
std::unique_ptr<BatchingPolicy> make_equal_shapes_batching(MapReader& parameters);
std::unique_ptr<PreemptionPolicy> make_no_preemption(MapReader& parameters);
std::unique_ptr<PreemptionPolicy> make_deadline_preemption(MapReader& parameters);
std::unique_ptr<ElasticityPolicy> make_static_elasticity(MapReader& parameters, const Setup& setup);
std::unique_ptr<ElasticityPolicy> make_schedule_elasticity(MapReader& parameters,
                                                           const Setup& setup);
std::unique_ptr<ElasticityPolicy> make_hybrid_elasticity(MapReader& parameters, const Setup& setup);

}  // namespace disagfusion::scheduler
