#include "exec/realtime/realtime.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>

#include "base/check.hpp"
#include "base/random.hpp"
#include "exec/controller/conductor.hpp"
#include "exec/controller/request_slots.hpp"
#include "exec/realtime/in_process_puller.hpp"
#include "exec/worker/instance.hpp"

namespace disagfusion::exec {

namespace asio = boost::asio;
using scheduler::ActionKind;
using scheduler::EventKind;
using scheduler::InstanceKey;
using scheduler::RequestKey;

namespace {

class RealtimeWorld final : public Surroundings {
 public:
  RealtimeWorld(const Deployment& deployment, scheduler::Session& session,
                traces::ArrivalSource& arrivals, RunObserver& observer,
                const RealtimeOptions& options)
      : deployment_(deployment),
        arrivals_(arrivals),
        observer_(observer),
        speed_(options.speed),
        clock_({}, options.speed),
        puller_(context_, clock_, link(deployment.setup),
                [this](const PullSource& source) { return fetch(source); }),
        conductor_(context_, session, clock_, *this, nullptr),
        arrival_timer_(context_) {
    conductor_.set_log(options.log);
  }

  Result<TimePoint> run() {
    start_fleet();
    plan_faults();
    next_arrival();
    context_.run();
    if (!problems_.empty()) return fail(problems_);
    return conductor_.last_now();
  }

  // ---- Surroundings
  void decided(TimePoint now, const scheduler::Event& event,
               const scheduler::ActionBuffer& actions) override {
    observer_.decided(now, event, actions);
    for (const scheduler::Action& action : actions.actions) {
      if (action.kind == ActionKind::reject || action.kind == ActionKind::end_request) {
        ended(now, action.request);
      }
    }
  }

  void carry_out(Command command) override {
    const scheduler::Action& action = command.action;
    switch (action.kind) {
      case ActionKind::admit:
      case ActionKind::reject:
      case ActionKind::end_request:
        return;
      case ActionKind::provision:
        provision(action);
        return;
      default:
        break;
    }
    if (action.instance.id == kController) {
      controller_command(action);
      return;
    }
    for (CommandMember& member : command.members) {
      const auto body = bodies_.find(member.keys.request);
      if (body != bodies_.end()) member.body = body->second;
    }
    const auto instance = instances_.find(action.instance.id);
    if (instance == instances_.end() || instance->second->key() != action.instance) return;
    instance->second->take(std::move(command));
    if (instance->second->stopped()) instances_.erase(instance);
  }

 private:
  static LinkSpec link(const scheduler::Setup& setup) {
    return setup.transfers ? setup.network : LinkSpec{};
  }

  // ---- fleet

  void start_fleet() {
    OwnedEvent began(EventKind::controller_restarted);
    began.event.steps_done = 1;
    conductor_.feed(std::move(began));
    for (std::size_t i = 0; i < deployment_.setup.instances.size(); ++i) {
      const PoolId role = deployment_.setup.instances[i].role;
      add_instance({InstanceId{static_cast<std::uint32_t>(i + 1)}, 1}, role).host(role);
    }
  }

  Instance& add_instance(InstanceKey key, PoolId role) {
    auto instance = std::make_shared<Instance>(
        context_.get_executor(), deployment_.setup, deployment_.stages, key,
        make_emulated_backend(context_.get_executor(), emulated_costs(deployment_, role, speed_)),
        puller_, store_of(key.id), [this](OwnedEvent event) { conductor_.feed(std::move(event)); });
    roles_[key.id] = role;
    return *(instances_[key.id] = std::move(instance));
  }

  /// Without a network nothing is transferred: whoever computes reads where it lies.
  HandleStore& store_of(InstanceId id) {
    return stores_[deployment_.setup.transfers ? id : kController];
  }

  void provision(const scheduler::Action& action) {
    const Duration takes = deployment_.setup.machines[action.machine.index()].provision;
    after(takes, [this, action] {
      add_instance(action.instance, action.pool);
      OwnedEvent provisioned(EventKind::instance_provisioned);
      provisioned.event.instance = action.instance;
      provisioned.event.command = action.command;
      conductor_.feed(std::move(provisioned));
    });
  }

  std::optional<Buffer> fetch(const PullSource& source) {
    if (source.holder.id == kController) return Buffer{};
    const auto holder = instances_.find(source.holder.id);
    if (holder == instances_.end() || holder->second->key() != source.holder) return std::nullopt;
    const HandleStore::Held* held = store_of(source.holder.id).find(source.handle);
    if (held == nullptr) return std::nullopt;
    const Buffer bytes = held->bytes;
    // After the receiver's event, as a simulated transfer ends at the receiver first.
    asio::post(context_, [instance = std::weak_ptr<Instance>(holder->second), source] {
      if (const auto sender = instance.lock()) sender->served(source.handle);
    });
    return bytes;
  }

  void controller_command(const scheduler::Action& action) {
    OwnedEvent answer;
    answer.event.instance = {kController, 0};
    answer.event.command = action.command;
    answer.event.handle = action.handle;
    if (action.kind == ActionKind::release) {
      answer.event.kind = EventKind::handle_released;
      conductor_.feed(std::move(answer));
    } else if (action.kind == ActionKind::transfer) {
      puller_.pull(action.command.id, {action.from, action.handle, 0, action.bytes},
                   [this, answer](std::optional<Buffer> bytes) mutable {
                     answer.event.kind =
                         bytes ? EventKind::transfer_finished : EventKind::transfer_failed;
                     if (!bytes) answer.event.reason = scheduler::Reason::sender_lost;
                     conductor_.feed(std::move(answer));
                   });
    } else if (action.kind == ActionKind::cancel_transfer) {
      const bool cancelled = puller_.cancel(action.target.id);
      answer.event.kind = cancelled ? EventKind::transfer_cancelled : EventKind::too_late;
      if (cancelled) answer.event.command = action.target;
      conductor_.feed(std::move(answer));
    }
  }

  // ---- faults

  void plan_faults() {
    for (const FaultSpec& fault : deployment_.scenario.faults) {
      after(fault.at - TimePoint{}, [this, &fault] { strike(fault); });
    }
  }

  void strike(const FaultSpec& fault) {
    const auto instance = instances_.find(InstanceId{fault.instance});
    if (instance == instances_.end()) return;
    const InstanceKey key = instance->second->key();
    if (fault.kind == FaultSpec::Kind::reclaim) {
      OwnedEvent notice(EventKind::reclaim_notice);
      notice.event.instance = key;
      notice.event.when = clock_.now() + fault.notice;
      conductor_.feed(std::move(notice));
      after(fault.notice, [this, key] { crash(key, std::nullopt); });
    } else {
      crash(key, fault.repair);
    }
  }

  /// The instance is gone now; the news comes when its heartbeats have been missed.
  void crash(InstanceKey key, std::optional<Duration> repair) {
    const auto instance = instances_.find(key.id);
    if (instance == instances_.end() || instance->second->key() != key) return;
    instances_.erase(instance);
    if (deployment_.setup.transfers) stores_.erase(key.id);
    after(deployment_.scenario.control.lost_after, [this, key] {
      OwnedEvent lost(EventKind::instance_lost);
      lost.event.instance = key;
      conductor_.feed(std::move(lost));
    });
    if (!repair) return;
    after(std::max(*repair, deployment_.scenario.control.lost_after), [this, key] {
      add_instance({key.id, key.incarnation + 1}, roles_[key.id]).load(returning_role(key.id));
    });
  }

  [[nodiscard]] PoolId returning_role(InstanceId id) const {
    for (const scheduler::InstanceView& view : conductor_.session().scheduler().instances()) {
      if (view.key.id == id) return view.role;
    }
    return roles_.at(id);
  }

  // ---- requests

  void next_arrival() {
    const Result<bool> more = arrivals_.next(next_);
    if (!more) {
      problems_ = more.error();
      context_.stop();
      return;
    }
    exhausted_ = !*more;
    if (exhausted_) {
      finish_if_done();
      return;
    }
    arrival_timer_.expires_at(clock_.at(next_.arrival));
    arrival_timer_.async_wait([this](boost::system::error_code error) {
      if (error) return;
      arrive(next_);
      next_arrival();
    });
  }

  void arrive(const traces::Request& request) {
    OwnedEvent arrived(EventKind::request_arrived);
    scheduler::Event& event = arrived.event;
    event.number = ++numbers_;
    event.request = {slots_.take(), static_cast<std::uint32_t>(numbers_)};
    arrived.body =
        std::make_shared<scheduler::RequestBody>(body_of(request, deployment_.scenario.seed));
    bodies_[event.request] = arrived.body;
    ++unfinished_;
    observer_.arrives(event.request, event.number, request);
    const RequestKey key = event.request;
    conductor_.feed(std::move(arrived));
    if (request.cancel_after) after(*request.cancel_after, [this, key] { cancel(key); });
  }

  void cancel(RequestKey key) {
    if (!bodies_.contains(key)) return;
    OwnedEvent asked(EventKind::cancel_asked);
    asked.event.request = key;
    conductor_.feed(std::move(asked));
  }

  void ended(TimePoint now, RequestKey key) {
    bodies_.erase(key);
    slots_.give_back(key.slot);
    --unfinished_;
    if (arrivals_.on_terminal(now, again_)) {
      asio::post(context_, [this, request = again_] { arrive(request); });
    }
    finish_if_done();
  }

  void finish_if_done() {
    if (exhausted_ && unfinished_ == 0 && !finishing_) {
      // One turn later: what was posted by the last end (a closed loop's next arrival) comes first.
      finishing_ = true;
      asio::post(context_, [this] {
        finishing_ = false;
        if (exhausted_ && unfinished_ == 0) context_.stop();
      });
    }
  }

  /// Calls after so much scenario time.
  void after(Duration length, std::function<void()> call) {
    auto timer = std::make_shared<asio::steady_timer>(context_);
    timer->expires_after(
        std::chrono::nanoseconds(std::llround(static_cast<double>(length.ns) / speed_)));
    timer->async_wait([timer, call = std::move(call)](boost::system::error_code error) {
      if (!error) call();
    });
  }

  asio::io_context context_{1};
  const Deployment& deployment_;
  traces::ArrivalSource& arrivals_;
  RunObserver& observer_;
  double speed_;
  Clock clock_;
  std::map<InstanceId, HandleStore> stores_;
  InProcessPuller puller_;
  Conductor conductor_;
  std::map<InstanceId, std::shared_ptr<Instance>> instances_;
  std::map<InstanceId, PoolId> roles_;
  asio::steady_timer arrival_timer_;
  traces::Request next_, again_;
  std::map<RequestKey, SharedBody> bodies_;  ///< of unfinished requests
  RequestSlots slots_;
  Problems problems_;
  std::uint64_t numbers_ = 0, unfinished_ = 0;
  bool exhausted_ = false, finishing_ = false;
};

}  // namespace

scheduler::RequestBody body_of(const traces::Request& request, std::uint64_t seed) {
  scheduler::RequestBody body;
  body.id = request.id_text();
  body.model = request.model;
  body.shape = request.shape;
  body.guidance = request.guidance;
  body.priority = request.priority;
  body.deadline = request.deadline;
  body.timeout = request.timeout;
  body.tenant = request.tenant;
  body.prompt = request.prompt;
  body.prompt_hash = request.prompt_hash;
  body.input_bytes = request.input_bytes.value_or(0);
  body.prompt_tokens = request.prompt_tokens.value_or(0);
  body.noise_seed = draw(seed, Purpose::weights, request.index, 0);
  return body;
}

Result<RealtimeOutcome> run_realtime(const Deployment& deployment, traces::ArrivalSource& arrivals,
                                     RunObserver& observer, const RealtimeOptions& options) {
  auto session = scheduler::Session::make(deployment.setup, deployment.belief);
  if (!session) return fail(std::move(session.error()));
  RealtimeWorld world(deployment, **session, arrivals, observer, options);
  auto end = world.run();
  if (!end) return fail(std::move(end.error()));
  if (options.at_end) options.at_end(*end, (*session)->scheduler());
  RealtimeOutcome outcome;
  outcome.end = *end;
  outcome.events = (*session)->events();
  outcome.decision_hash = (*session)->decision_hash();
  outcome.counters = (*session)->scheduler().counters();
  outcome.decisions = (*session)->scheduler().decisions();
  return outcome;
}

}  // namespace disagfusion::exec
