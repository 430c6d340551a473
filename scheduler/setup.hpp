// What scheduler and worlds know before the first event: stages, roles, machines, instances,
// limits. Made once from a scenario; never changes during a run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/scenario.hpp"
#include "predictor/cost_model.hpp"

namespace disagfusion::scheduler {

/// A role: what a pool's instances host and their limits. Elasticity moves instances between roles.
struct Role {
  std::vector<WeightsId> stages;  ///< in serving order: longest path from the sources first
  std::string name;               ///< stage names joined by '+', for people
  GpuTypeId gpu;
  std::uint32_t degree = 1;  ///< GPUs an instance
  std::uint32_t max_batch = 1;
  std::uint32_t input_slots = 2;  ///< per hosted stage; 0: takes work only when idle; or kUnlimited
  std::uint32_t output_slots = kUnlimited;  ///< per hosted stage; 0 stands for sync handoff
  bool offload = false;
  std::string dtype = "bf16";
  std::uint32_t initial_count = 0;
  Duration load;  ///< expected seconds of loading this role
};

struct Machine {
  std::string name;
  std::uint32_t group = 0;          ///< position in FleetSpec::nodes
  std::vector<std::uint32_t> gpus;  ///< by GpuTypeId
  Duration provision;
  double host_memory =
      0;  ///< bytes for the outputs and states that its instances hold; 0: unlimited
};

/// An instance of the initial fleet: InstanceId = position + 1.
struct InitialInstance {
  PoolId role;
  MachineId machine;
};

struct Setup {
  StageGraph graph;
  std::vector<std::string> gpu_types;  ///< by GpuTypeId
  std::vector<Role> roles;             ///< by PoolId
  std::vector<Machine> machines;       ///< by MachineId
  std::vector<InitialInstance> instances;

  bool transfers = false;  ///< false: `network: none`, handoff takes nothing
  bool sync_handoff = false;
  bool pull = true;
  std::vector<double> input_bytes;  ///< by ModelId: travels to the sources; 0: costs nothing
  std::vector<std::uint8_t>
      has_output;    ///< by NodeId: this sink's output travels to the controller:
                     ///< when the model names it, and always in a live world
  LinkSpec network;  ///< what a transfer is expected to take

  std::uint32_t max_retries = 2;
  std::optional<Duration> request_timeout;
  PoliciesSpec policies;
  bool learning = false;
};

/// Roles, machines and placement of a scenario (its pools in order, each instance on the first
/// machine with enough free GPUs of its type). `live`: for real workers rather than simulated ones.
Result<Setup> make_setup(const Scenario& scenario, bool live);

}  // namespace disagfusion::scheduler
