// The workers as the controller sees them: processes, connections, leases, command streams. Tells
// the scheduler's world-side events of instances; decides nothing about requests.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "exec/controller/command_stream.hpp"
#include "exec/controller/processes.hpp"
#include "exec/deployment.hpp"
#include "exec/net/frame_link.hpp"
#include "exec/protocol/control.pb.h"
#include "exec/protocol/messages.hpp"
#include "scheduler/action.hpp"
#include "scheduler/event.hpp"

namespace disagfusion::exec {

struct FleetOptions {
  std::string token;               ///< that workers must show
  std::uint16_t control_port = 0;  ///< 0: any; the same after a restart, so that workers find it
  std::uint16_t controller_pull_port = 0;  ///< where the controller serves request inputs
  std::string folder;                      ///< serve.state/workers: process files and logs
  std::string backend;
};

/// One thread, that of `context`. Everything given must outlive it.
class Fleet {
 public:
  /// Returns the event's count (Conductor::feed).
  using Feed = std::function<std::uint64_t(OwnedEvent)>;
  /// The role that the scheduler takes an instance to have when it returns.
  using RoleOf = std::function<PoolId(InstanceId)>;

  Fleet(asio::io_context& context, const Deployment& deployment, FleetOptions options, Feed feed,
        RoleOf role_of);
  ~Fleet();

  // ---- replay of the log, before start()
  void replayed(const scheduler::Event& event);
  void replayed(Command command);

  /// Listens, starts the missing workers and waits for the others. Throws system_error where the
  /// control port cannot be had.
  void start(bool restarted);
  [[nodiscard]] std::uint16_t control_port() const { return control_port_; }

  /// A command to an instance (or provision), durable.
  void send(Command command);
  /// Events fed up to this count are durable: their senders are told.
  void settled(std::uint64_t through);
  /// Where that incarnation serves pulls; 0 where it is no more.
  [[nodiscard]] std::uint16_t pull_port(scheduler::InstanceKey holder) const;

  /// Says goodbye to every worker and ends those that do not go within `patience`; then `done`.
  void stop(std::chrono::milliseconds patience, std::function<void()> done);

  struct View {
    InstanceId id;
    std::uint32_t incarnation = 0;
    bool connected = false;
    pid_t pid = 0;
    double silent_s = 0;
    std::uint32_t restarts = 0;
  };
  [[nodiscard]] std::vector<View> view() const;

 private:
  enum class Life : std::uint8_t {
    off,       ///< stopped, or never wanted
    starting,  ///< its process was started, or is about to be
    alive,     ///< has said hello in this incarnation
    restored,  ///< alive when the log ended: expected back
  };
  struct Seat {
    InstanceId id;
    std::uint32_t incarnation = 0;
    Life life = Life::off;
    bool reported = false;  ///< the scheduler knows this incarnation
    bool needs_inventory = false;
    bool welcomed = false;            ///< on the present link
    scheduler::CommandKey provision;  ///< open, or none: it was the scheduler's wish
    PoolId role;                      ///< to be loaded
    CommandStream stream;
    std::shared_ptr<FrameLink> link;
    std::unique_ptr<WatchedProcess> process;
    std::uint16_t pull_port = 0;
    std::uint64_t heard = 0;                                        ///< highest number of an event
    std::deque<std::pair<std::uint64_t, std::uint64_t>> unsettled;  ///< (fed count, event number)
    steady_clock::time_point last_word;
    std::uint32_t failures = 0;  ///< starts in a row that ended badly
    std::uint32_t restarts = 0;
  };

  Seat& seat(InstanceId id);
  [[nodiscard]] std::string log_of(InstanceId id) const;
  void become_lost(Seat& seat, const std::string& why);
  void start_worker(Seat& seat);
  void start_worker_later(Seat& seat);
  void watch_process(Seat& seat, ProcessId process);
  void process_ended(InstanceId id, std::uint32_t incarnation);
  void resume(Seat& seat);

  static asio::awaitable<void> listen(Fleet* self);
  static asio::awaitable<void> converse(Fleet* self, std::shared_ptr<FrameLink> link);
  static asio::awaitable<void> watch_leases(Fleet* self);
  static asio::awaitable<void> beat(Fleet* self);

  Seat* admit(const wire::Hello& hello, const std::shared_ptr<FrameLink>& link);
  void welcome(Seat& seat, const wire::Hello& hello);
  void fill_welcome(const Seat& seat, bool fresh, wire::Welcome& welcome) const;
  void take_inventory(Seat& seat, const wire::Hello& hello);
  bool hear(Seat& seat, const wire::ToController& message);
  void take_event(Seat& seat, const wire::WorkerEvent& event);
  void transmit(Seat& seat, const Command& command);
  void say_goodbye(FrameLink& link, const char* why);

  [[nodiscard]] std::string process_file(InstanceId id) const;
  void note_process(const Seat& seat) const;
  void forget_process(InstanceId id) const;
  [[nodiscard]] steady_clock::duration lease(const Seat& seat) const;

  asio::io_context& context_;
  const Deployment& deployment_;
  FleetOptions options_;
  Feed feed_;
  RoleOf role_of_;
  tcp::acceptor acceptor_;
  std::uint16_t control_port_ = 0;
  std::map<InstanceId, Seat> seats_;
  bool stopping_ = false;
};

}  // namespace disagfusion::exec
