// The controller: scheduler inside, event log beneath, workers around. HTTP stands in front
// (exec/http) and uses what is public here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exec/clock.hpp"
#include "exec/controller/conductor.hpp"
#include "exec/controller/fleet.hpp"
#include "exec/controller/ledger.hpp"
#include "exec/controller/outputs.hpp"
#include "exec/controller/state_folder.hpp"
#include "exec/deployment.hpp"
#include "exec/worker/pull_server.hpp"
#include "exec/worker/tcp_puller.hpp"
#include "report/recorder.hpp"
#include "scheduler/session.hpp"

namespace disagfusion::exec {

struct ControllerFigures {
  std::uint64_t by_end[5] = {};  ///< requests by EndState
  std::uint64_t arrived = 0;
  std::uint64_t commits = 0;
};

/// Everything on one thread, that of `context`; journal and outputs have threads of their own and
/// come back to it. Given things must outlive it.
class Controller final : public Surroundings, public report::RowSink {
 public:
  /// Opens or makes the journal in `state`, replays it, and says how that went. Problems: a log
  /// that is not of this scenario, that does not verify, or a policy's.
  static Result<std::unique_ptr<Controller>> make(asio::io_context& context,
                                                  std::shared_ptr<const Deployment> deployment,
                                                  StateFolder& state);
  ~Controller() override;

  /// Tells the scheduler that it runs (again), starts or awaits workers.
  Result<void> start();
  /// Workers are told goodbye, the journal is committed; then `done`.
  void stop(std::function<void()> done);

  // ---- requests
  /// Books a request; an id that is known is the same request. Its account's number.
  std::uint64_t submit(scheduler::RequestBody body);
  void cancel(std::uint64_t number);
  [[nodiscard]] Ledger& ledger() { return ledger_; }
  /// Pictures of a completed request as PNG, in order.
  void pictures(const Account& account, std::function<void(std::vector<std::string>)> done);

  // ---- operators
  /// Feeds an operator's order; an event in the log.
  void order(scheduler::Order order, InstanceId instance, std::vector<WeightsId> stages);
  [[nodiscard]] std::string explain(const Account& account) const;

  [[nodiscard]] const scheduler::Session& session() const { return *session_; }
  [[nodiscard]] const Deployment& deployment() const { return *deployment_; }
  [[nodiscard]] const Fleet& fleet() const { return *fleet_; }
  [[nodiscard]] const ControllerFigures& figures() const { return figures_; }
  [[nodiscard]] TimePoint now() const { return clock_.now(); }
  /// Every stage has a ready instance.
  [[nodiscard]] bool ready() const;
  /// Calls with every request that has ended, when that is durable: for metrics.
  void set_on_end(std::function<void(const Account&)> on_end) { on_end_ = std::move(on_end); }

  // ---- Surroundings
  void decided(TimePoint now, const scheduler::Event& event,
               const scheduler::ActionBuffer& actions) override;
  void carry_out(Command command) override;
  void settled(std::uint64_t through) override;

  // ---- report::RowSink
  void row(scheduler::RequestKey key, const traces::RequestRow& row) override;

 private:
  Controller(asio::io_context& context, std::shared_ptr<const Deployment> deployment,
             StateFolder& state);
  Result<void> open_journal();
  Result<void> replay();
  void note(const scheduler::Event& event, const scheduler::ActionBuffer& actions);
  void note_output(const scheduler::ActionBuffer& actions, const scheduler::Action& action);
  void add_bodies(Command& command);
  void own_command(const scheduler::Action& action);
  void fetch_output(const scheduler::Action& action);
  void answer(scheduler::EventKind kind, scheduler::CommandKey command, scheduler::HandleKey handle,
              scheduler::Reason reason = scheduler::Reason::none);
  [[nodiscard]] std::optional<Buffer> input(scheduler::HandleKey handle) const;
  [[nodiscard]] PoolId role_of(InstanceId id) const;

  asio::io_context& context_;
  std::shared_ptr<const Deployment> deployment_;
  StateFolder& state_;
  StateFolder::Meeting meeting_;
  std::unique_ptr<scheduler::Session> session_;
  Clock clock_;
  Ledger ledger_;
  report::Recorder recorder_;  ///< as in simulate: when each stage was ready, started, ended
  OutputStore outputs_;
  TcpPuller puller_;
  std::shared_ptr<PullServer> pull_server_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Conductor> conductor_;
  std::unique_ptr<Fleet> fleet_;
  std::uint32_t epoch_ = 1;
  Duration downtime_;
  bool replaying_ = false;
  std::map<scheduler::HandleKey, std::uint64_t> inputs_;  ///< held here: request number
  std::map<scheduler::HandleKey, NodeId> output_nodes_;   ///< of last stages
  std::map<std::uint64_t, scheduler::Action> own_open_;   ///< commands to the controller
  ControllerFigures figures_;
  std::function<void(const Account&)> on_end_;
};

}  // namespace disagfusion::exec
