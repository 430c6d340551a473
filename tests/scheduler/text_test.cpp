// Events and actions as people read them: a scripted sequence against a reviewed file.
#include "scheduler/text.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include "tests/scheduler/script.hpp"

namespace disagfusion::scheduler {
namespace {

TEST(Text, SecondsAreExact) {
  EXPECT_EQ(seconds_text(0), "0");
  EXPECT_EQ(seconds_text(74'200'000'000), "74.2");
  EXPECT_EQ(seconds_text(1), "0.000000001");
  EXPECT_EQ(seconds_text(-1'500'000'000), "-1.5");
  EXPECT_EQ(seconds_text(60'000'000'000), "60");
  EXPECT_EQ(seconds_text(std::numeric_limits<std::int64_t>::min()), "-9223372036.854775808");
}

TEST(Text, BytesAreExact) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1000), "1 kB");
  EXPECT_EQ(bytes_text(4'200'000), "4.2 MB");
  EXPECT_EQ(bytes_text(1'048'576), "1.048576 MB");
  EXPECT_EQ(bytes_text(std::numeric_limits<std::uint64_t>::max()), "18.446744073709551615 EB");
}

TEST(Text, NonsenseIsWrittenToo) {
  const TextWriter text(small_setup());
  Event e = event(EventKind::batch_finished, instance(99, 7), {77, 88});
  e.kind = static_cast<EventKind>(200);
  EXPECT_EQ(text.event(TimePoint{-1}, e), "-0.000000001 unknown i99.7 c0.77");
  ActionBuffer buffer;
  Action action;
  action.kind = ActionKind::enqueue;
  EXPECT_EQ(text.action(buffer, action), "enqueue no stage on controller order 0 steps 0-0");
  action.node = NodeId{40};
  EXPECT_EQ(text.action(buffer, action), "enqueue stage#40 on controller order 0 steps 0-0");
}

TEST(Text, LongAndUnprintableTextsAreCutAndEscaped) {
  const TextWriter text(small_setup());
  Keeper keeper;
  Event e = keeper.arrived(1);
  keeper.last_body().prompt = "a \"red\"\n" + std::string(51, 'x') + "\xc3\xa4\xc3\xa4";
  EXPECT_EQ(text.event(TimePoint{}, e),
            "0.000000000 request_arrived r1 toy 832x480 81 frames 4 steps prompt \"a "
            "\\\"red\\\"\\x0a" +
                std::string(51, 'x') + "...\"");
}

class Script : public Keeper {
 public:
  Script() : text_(small_setup()) {}
  void at(double seconds, const Event& e, const Actions& actions = {}) {
    written_ += text_.block(TimePoint{} + from_seconds(seconds), e, actions.buffer());
  }
  [[nodiscard]] const std::string& written() const { return written_; }

 private:
  TextWriter text_;
  std::string written_;
};

void ordinary_path(Script& s) {
  s.at(0, restarted(1));
  for (std::uint32_t id = 1; id <= 4; ++id) {
    s.at(0, event(EventKind::instance_ready, instance(id)));
  }
  Actions admitted;
  admitted.admit(1).enqueue(command(1), instance(1), kEncoder).member(1, handle(1));
  admitted.add(ActionKind::arm_timer).at = TimePoint{} + from_seconds(600);
  s.at(0.125, s.arrived(1), admitted);
  s.at(0.125, event(EventKind::batch_started, instance(1), command(1)));
  Event ended = s.finished(instance(1), command(1), 1, handle(1), 1'048'576);
  ended.compute = from_seconds(5.05);
  s.at(5.175, ended,
       Actions()
           .enqueue(command(2), instance(2), kDit)
           .member(1, handle(2), {{handle(1), true}})
           .transfer(command(3), handle(1), instance(1), instance(2), command(2)));
  Event landed = event(EventKind::transfer_finished, instance(2), command(3));
  landed.started = command(2);
  s.at(5.2, landed, Actions().release(command(4), handle(1), instance(1)));
  s.at(5.2, event(EventKind::handle_released, instance(1), command(4)));
}

void batches(Script& s) {
  s.at(6, s.arrived(2), Actions().admit(2).extend(command(5), command(2)).member(2, handle(3)));
  s.at(6, event(EventKind::too_late, instance(2), command(5)),
       Actions().enqueue(command(6), instance(3), kDit).member(2, handle(3), {{handle(4), false}}));
  s.at(7, s.arrived(3), Actions().admit(3).extend(command(7), command(6)).member(3, handle(5)));
  s.at(7, event(EventKind::batch_extended, instance(3), command(7)));
  Event cancel = event(EventKind::cancel_asked);
  cancel.request = request(3);
  s.at(
      8, cancel,
      Actions().end(3, EndState::cancelled, Why::asked).revoke(command(8), command(6), request(3)));
  s.at(8, event(EventKind::batch_revoked, instance(3), command(8)));
  s.at(9, event(EventKind::tick), Actions().revoke(command(9), command(6)));
  s.at(9, event(EventKind::batch_revoked, instance(3), command(6)));
}

void preemption(Script& s) {
  s.at(10, event(EventKind::timer),
       Actions().preempt(command(10), command(2)).member(1, {}, {}, handle(6)).member(2, {}));
  Event stopped =
      s.with_members(event(EventKind::batch_preempted, instance(2), command(2)),
                     {{request(1), MemberOutcome::Kind::state, Reason::none, handle(6), 16'600'000},
                      {request(2), MemberOutcome::Kind::dropped, Reason::none, {}, 0}});
  stopped.steps_done = 2;
  stopped.compute = from_seconds(37.1);
  Actions resumed;
  resumed.enqueue(command(11), instance(2), kDit).member(1, handle(7), {}, handle(6));
  s.at(42.3, stopped, resumed);
  Event step = event(EventKind::step_done, instance(2), command(11));
  step.steps_done = 3;
  s.at(60, step);
  s.at(80,
       s.with_members(event(EventKind::batch_finished, instance(2), command(11)),
                      {{request(1), MemberOutcome::Kind::failed, Reason::compute_error, {}, 0}}),
       Actions().end(1, EndState::failed, Why::too_many_retries));
}

void instances(Script& s) {
  Event order = event(EventKind::operator_order, instance(2));
  order.order = Order::re_role;
  const WeightsId decoder[] = {WeightsId{2}};
  order.stages = decoder;
  s.at(90, order, Actions().life(ActionKind::drain, command(12), instance(2)));
  s.at(91, event(EventKind::instance_drained, instance(2), command(12)),
       Actions().life(ActionKind::unload, command(13), instance(2)));
  s.at(92, event(EventKind::instance_unloaded, instance(2), command(13)),
       Actions().life(ActionKind::load, command(14), instance(2), PoolId{2}));
  Event failed = event(EventKind::load_failed, instance(2), command(14));
  failed.reason = Reason::out_of_memory;
  s.at(99, failed);
  Event notice = event(EventKind::reclaim_notice, instance(3));
  notice.when = TimePoint{} + from_seconds(130);
  Actions leave;
  leave.life(ActionKind::drain, command(15), instance(3));
  Action& provision = leave.add(ActionKind::provision, command(16), instance(5));
  provision.pool = PoolId{1};
  provision.machine = MachineId{2};
  s.at(100, notice, leave);
  Actions undrain;
  undrain.add(ActionKind::undrain).instance = instance(3);
  s.at(101, event(EventKind::tick), undrain);
  s.at(102, event(EventKind::instance_lost, instance(4)));
  s.at(103, event(EventKind::instance_ready, instance(4, 2)));
}

void restart(Script& s) {
  Event again = restarted(2);
  again.compute = from_seconds(3.5);
  Actions cancel;
  cancel.cancel_transfer(command(1, 17, 2), command(3));
  cancel.add(ActionKind::cancel_timer);
  s.at(110, again, cancel);
  Inventory inventory;
  const WeightsId loaded[] = {WeightsId{1}};
  const CommandKey queue[] = {command(11), command(2)};
  const HandleKey held[] = {handle(7), {9, 4}};
  inventory.weights = loaded;
  inventory.run_queue = queue;
  inventory.first_is_running = true;
  inventory.handles = held;
  Event has = event(EventKind::inventory, instance(2));
  has.inventory = &inventory;
  Actions sent;
  sent.add(ActionKind::output_sent).target = command(2);
  s.at(110, has, sent);
  Event failed = event(EventKind::transfer_failed, {kController, 0}, command(3));
  failed.reason = Reason::sender_lost;
  s.at(111, failed);
  Actions rejected;
  Action& reject = rejected.add(ActionKind::reject);
  reject.request = request(4);
  reject.why = Why::queue_full;
  reject.at = TimePoint{} + from_seconds(2);
  Event last = s.arrived(4);
  RequestBody& body = s.last_body();
  body.priority = -1;
  body.deadline = from_seconds(30);
  body.tenant = "a";
  body.noise_seed = 7;
  body.prompt = "a red sneaker";
  s.at(112, last, rejected);
  Event capacity = event(EventKind::capacity_changed);
  capacity.machine = MachineId{0};
  capacity.gpu = GpuTypeId{0};
  capacity.steps_done = 2;
  s.at(113, capacity);
  Event policy = event(EventKind::operator_order);
  policy.order = Order::set_policy;
  policy.text = "queue=deadline";
  s.at(114, policy);
}

// DISAGFUSION_UPDATE_GOLDEN=1 writes the file anew; the difference is then reviewed.
TEST(Text, ScriptedSequenceReadsAsReviewed) {
  Script script;
  ordinary_path(script);
  batches(script);
  preemption(script);
  instances(script);
  restart(script);
  const std::string path = DISAGFUSION_SOURCE_DIR "/tests/scheduler/protocol_text.golden";
  if (std::getenv("DISAGFUSION_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << script.written();
  std::ifstream file(path);
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(script.written(), golden);
}

}  // namespace
}  // namespace disagfusion::scheduler
