// Frames, messages and addresses, good and bad.
#include <gtest/gtest.h>

#include <boost/asio/write.hpp>

#include "exec/net/endpoint.hpp"
#include "exec/net/frame_link.hpp"
#include "exec/net/framing.hpp"
#include "exec/protocol/convert.hpp"

namespace disagfusion::exec {
namespace {

using scheduler::ActionKind;
using scheduler::EventKind;

// ---- frames ------------------------------------------------------------------------------------

TEST(Framing, LengthIsMostSignificantFirst) {
  EXPECT_EQ(frame_length({0, 0, 1, 2}), 258U);
  EXPECT_EQ(frame_length({0, 0, 0, 0}), std::nullopt);
  EXPECT_EQ(frame_length({0xff, 0xff, 0xff, 0xff}), std::nullopt);
  EXPECT_EQ(frame_length({1, 0, 0, 0}), kLargestFrame);
  EXPECT_EQ(frame_length({1, 0, 0, 1}), std::nullopt);
}

/// What a reader makes of raw bytes, after which the peer closes.
asio::awaitable<void> read_all(std::shared_ptr<FrameLink> link, std::vector<std::uint64_t>* heard,
                               bool* closed) {
  wire::ToWorker message;
  while (co_await link->read(message)) heard->push_back(message.heartbeat().number());
  *closed = !link->is_open();
}

std::vector<std::uint64_t> hear(const std::string& bytes) {
  asio::io_context context{1};
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
  tcp::socket peer(context);
  peer.connect(acceptor.local_endpoint());
  auto link = std::make_shared<FrameLink>(acceptor.accept());
  std::vector<std::uint64_t> heard;
  bool closed = false;
  asio::write(peer, asio::buffer(bytes));
  peer.shutdown(tcp::socket::shutdown_send);
  asio::co_spawn(context, read_all(link, &heard, &closed), asio::detached);
  context.run();
  EXPECT_TRUE(closed);
  return heard;
}

std::string beat(std::uint64_t number) {
  wire::ToWorker message;
  message.mutable_heartbeat()->set_number(number);
  std::string frame;
  append_frame(frame, message);
  return frame;
}

TEST(Framing, ReadsFramesInOrder) {
  EXPECT_EQ(hear(beat(1) + beat(2) + beat(300)), (std::vector<std::uint64_t>{1, 2, 300}));
}

TEST(Framing, AMalformedFrameEndsTheConnection) {
  using Heard = std::vector<std::uint64_t>;
  EXPECT_EQ(hear(""), Heard{});
  EXPECT_EQ(hear(beat(1) + std::string("\0\0", 2)), Heard{1});                // half a header
  EXPECT_EQ(hear(beat(1) + beat(2).substr(0, 5)), Heard{1});                  // half a message
  EXPECT_EQ(hear(beat(1) + std::string("\0\0\0\0", 4) + beat(2)), Heard{1});  // empty
  EXPECT_EQ(hear(beat(1) + std::string("\xff\xff\xff\xff", 4) + beat(2)), Heard{1});  // too long
  EXPECT_EQ(hear(beat(1) + std::string("\0\0\0\3\xff\xff\xff", 7) + beat(2)),
            Heard{1});  // no message
  EXPECT_EQ(hear("GET / HTTP/1.1\r\n\r\n"), Heard{});
}

// ---- messages ----------------------------------------------------------------------------------

Command command_sample() {
  Command command;
  scheduler::Action& action = command.action;
  action.kind = ActionKind::enqueue;
  action.instance = {InstanceId{3}, 2};
  action.command = {(std::uint64_t{7} << 40U) | 9U, 4};
  action.node = NodeId{1};
  action.weights = WeightsId{2};
  action.first_step = 1;
  action.last_step = 5;
  action.order = -6;
  action.output_transfers = scheduler::kTold;
  CommandMember member;
  member.keys.request = {8, 9};
  member.keys.output = {10, 11};
  member.inputs.push_back({{12, 13}, true});
  scheduler::RequestBody body;
  body.id = "one";
  body.model = ModelId{0};
  body.prompt = "a red sneaker";
  body.noise_seed = ~std::uint64_t{0};
  body.shape = {64, 32, 1, 4, 2};
  member.body = std::make_shared<scheduler::RequestBody>(body);
  command.members.push_back(member);
  return command;
}

TEST(Convert, ACommandComesBackAsItWas) {
  const Command command = command_sample();
  wire::Command wired;
  to_wire(command, wired);
  const auto back = from_wire(wired, command.action.instance);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->action.command, command.action.command);
  EXPECT_EQ(back->action.instance, command.action.instance);
  EXPECT_EQ(back->action.node, command.action.node);
  EXPECT_EQ(back->action.weights, command.action.weights);
  EXPECT_EQ(back->action.last_step, 5U);
  EXPECT_EQ(back->action.output_transfers, scheduler::kTold);
  ASSERT_EQ(back->members.size(), 1U);
  EXPECT_EQ(back->members[0].keys.request, command.members[0].keys.request);
  EXPECT_EQ(back->members[0].keys.output, command.members[0].keys.output);
  EXPECT_EQ(back->members[0].inputs[0].handle, command.members[0].inputs[0].handle);
  EXPECT_TRUE(back->members[0].inputs[0].transferred);
  EXPECT_EQ(back->members[0].body->noise_seed, ~std::uint64_t{0});
  EXPECT_EQ(back->members[0].body->shape, command.members[0].body->shape);
}

TEST(Convert, ACommandOutOfRangeIsNone) {
  wire::Command good;
  to_wire(command_sample(), good);
  const auto refused = [&](auto change) {
    wire::Command bad = good;
    change(bad);
    return !from_wire(bad, {InstanceId{3}, 2});
  };
  EXPECT_TRUE(refused([](wire::Command& c) { c.set_kind(scheduler::kActionKinds); }));
  EXPECT_TRUE(refused([](wire::Command& c) { c.set_node(0x10000); }));
  EXPECT_TRUE(refused([](wire::Command& c) { c.set_weights(0x10000); }));
  EXPECT_TRUE(refused([](wire::Command& c) { c.set_source_port(0x10000); }));
  EXPECT_TRUE(
      refused([](wire::Command& c) { c.mutable_members(0)->mutable_body()->set_model(0x10000); }));
}

TEST(Convert, AnEventThatNoWorkerMayTellIsNone) {
  OwnedEvent event(EventKind::batch_finished);
  event.members.push_back(
      {{1, 2}, scheduler::MemberOutcome::Kind::output, scheduler::Reason::none, {3, 4}, 5});
  wire::WorkerEvent good;
  to_wire(event, 1, good);
  EXPECT_TRUE(from_wire(good, {InstanceId{1}, 1}));
  const auto refused = [&](auto change) {
    wire::WorkerEvent bad = good;
    change(bad);
    return !from_wire(bad, {InstanceId{1}, 1});
  };
  for (const EventKind kind : {EventKind::request_arrived, EventKind::timer, EventKind::inventory,
                               EventKind::instance_lost, EventKind::controller_restarted,
                               EventKind::operator_order, EventKind::cancel_asked}) {
    EXPECT_TRUE(refused([&](wire::WorkerEvent& e) {
      e.set_kind(static_cast<std::uint32_t>(kind));
    })) << scheduler::name_of(kind);
  }
  EXPECT_TRUE(refused([](wire::WorkerEvent& e) { e.set_kind(scheduler::kEventKinds); }));
  EXPECT_TRUE(refused([](wire::WorkerEvent& e) { e.set_reason(99); }));
  EXPECT_TRUE(refused([](wire::WorkerEvent& e) { e.set_compute_ns(-1); }));
  EXPECT_TRUE(refused([](wire::WorkerEvent& e) { e.mutable_members(0)->set_kind(9); }));
}

TEST(OwnedEvent, KeepsWhatTheEventShowed) {
  std::vector<WeightsId> weights{WeightsId{1}};
  std::vector<scheduler::CommandKey> queue{{5, 6}};
  scheduler::Inventory inventory;
  inventory.weights = weights;
  inventory.run_queue = queue;
  inventory.first_is_running = true;
  scheduler::Event event;
  event.kind = EventKind::inventory;
  event.inventory = &inventory;
  const OwnedEvent owned = OwnedEvent::copy_of(event);
  weights.clear();
  queue.clear();
  const scheduler::Event seen = owned.view();
  ASSERT_NE(seen.inventory, nullptr);
  EXPECT_EQ(seen.inventory->run_queue[0].id, 5U);
  EXPECT_EQ(seen.inventory->weights[0], WeightsId{1});
  EXPECT_TRUE(seen.inventory->first_is_running);
}

// ---- addresses ---------------------------------------------------------------------------------

TEST(Endpoint, OnlyLoopback) {
  for (const char* good : {"127.0.0.1:8080", "localhost:1", "[::1]:65535", "127.1.2.3:0"}) {
    EXPECT_TRUE(parse_loopback(good, "--listen")) << good;
  }
  for (const char* bad :
       {"", "8080", "0.0.0.0:80", "192.168.1.1:80", "[::]:80", "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x", "example.org:80"}) {
    const auto parsed = parse_loopback(bad, "--listen");
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().size(), 1U);
  }
  EXPECT_EQ(parse_url("http://127.0.0.1:80/", "URL")->port, 80);
  EXPECT_FALSE(parse_url("https://127.0.0.1:80", "URL"));
}

}  // namespace
}  // namespace disagfusion::exec
