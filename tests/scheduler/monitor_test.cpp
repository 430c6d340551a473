// The protocol monitor: legal sequences pass, duplicates and late events pass, nothing else does.
#include "scheduler/monitor.hpp"

#include <gtest/gtest.h>

#include <string>

#include "tests/scheduler/script.hpp"

namespace disagfusion::scheduler {
namespace {

class Monitor : public testing::Test, public Keeper {
 protected:
  Monitor() : monitor_(small_setup()) {
    says(restarted(1));
    for (std::uint32_t id = 1; id <= 4; ++id) says(event(EventKind::instance_ready, instance(id)));
  }

  /// What the monitor has against the event; empty where it has nothing.
  std::string against(const Event& e) {
    const char* wrong = monitor_.explain(++now_, e);
    return wrong == nullptr ? "" : wrong;
  }
  std::string against(const Actions& actions) {
    const char* wrong = monitor_.note_actions(now_, actions.buffer());
    return wrong == nullptr ? "" : wrong;
  }
  void says(const Event& e) { EXPECT_EQ(against(e), "") << name_of(e.kind); }
  void says_again(const Event& e) {  // a duplicate settles nothing
    const std::size_t open = monitor_.open_commands();
    says(e);
    EXPECT_EQ(monitor_.open_commands(), open);
  }
  void asks(const Actions& actions) { EXPECT_EQ(against(actions), ""); }
  void expect_open(std::size_t commands) { EXPECT_EQ(monitor_.open_commands(), commands); }

  /// A request at the encoder: enqueue is command 1.
  void one_request_at_the_encoder() {
    says(arrived(1));
    asks(Actions().admit(1).enqueue(command(1), instance(1), kEncoder).member(1, handle(1)));
    says(event(EventKind::batch_started, instance(1), command(1)));
  }
  /// ... and then at the dit: enqueue 2, its transfer 3.
  void one_request_on_its_way_to_the_dit() {
    one_request_at_the_encoder();
    says(finished(instance(1), command(1), 1, handle(1)));
    asks(Actions()
             .enqueue(command(2), instance(2), kDit)
             .member(1, handle(2), {{handle(1), true}})
             .transfer(command(3), handle(1), instance(1), instance(2), command(2)));
  }
  void one_request_runs_at_the_dit() {
    one_request_on_its_way_to_the_dit();
    Event landed = event(EventKind::transfer_finished, instance(2), command(3));
    landed.started = command(2);
    says(landed);
  }

  struct Clock {
    TimePoint at;
    Clock& operator++() {
      at = at + Duration{1000};
      return *this;
    }
    operator TimePoint() const { return at; }  // NOLINT(google-explicit-constructor)
  };

  ProtocolMonitor monitor_;
  Clock now_;
};

// ---- the ordinary path -------------------------------------------------------------------------

TEST_F(Monitor, AcceptsTheOrdinaryPath) {
  one_request_runs_at_the_dit();
  expect_open(1);
  asks(Actions().release(command(4), handle(1), instance(1)));
  says(event(EventKind::handle_released, instance(1), command(4)));
  says(finished(instance(2), command(2), 1, handle(2)));
  asks(Actions()
           .enqueue(command(5), instance(4), kDecoder)
           .member(1, handle(3), {{handle(2), true}})
           .transfer(command(6), handle(2), instance(2), instance(4), command(5)));
  says(event(EventKind::transfer_finished, instance(4), command(6)));
  says(event(EventKind::batch_started, instance(4), command(5)));
  says(finished(instance(4), command(5), 1, handle(3)));
  asks(Actions()
           .transfer(command(7), handle(3), instance(4), {kController, 0})
           .release(command(8), handle(2), instance(2)));
  says(event(EventKind::transfer_finished, {kController, 0}, command(7)));
  asks(Actions().end(1).release(command(9), handle(3), instance(4)));
  says(event(EventKind::handle_released, instance(2), command(8)));
  says(event(EventKind::handle_released, instance(4), command(9)));
  expect_open(0);
}

TEST_F(Monitor, ReusesSlots) {
  one_request_at_the_encoder();
  says(finished(instance(1), command(1), 1, {}));
  asks(Actions().end(1));
  Event second = arrived(2);
  second.request.slot = 1;
  says(second);
  Actions actions;
  actions.add(ActionKind::admit).request = {1, 2};
  actions.enqueue(command(2, 1), instance(1), kEncoder).member(2, {1, 2});
  ActionBuffer buffer = actions.buffer();
  buffer.members[0].request.slot = 1;
  EXPECT_EQ(monitor_.note_actions(now_, buffer), nullptr);
  // The first command's slot has a younger user now: late news of it are late, not wrong.
  says(event(EventKind::batch_started, instance(1), command(1)));
  says(finished(instance(1), command(1), 1, handle(1)));
  expect_open(1);
}

// ---- duplicates, late and impossible events ----------------------------------------------------

TEST_F(Monitor, DuplicatesAndLateEventsAreLegal) {
  one_request_at_the_encoder();
  says_again(event(EventKind::batch_started, instance(1), command(1)));
  const Event end = finished(instance(1), command(1), 1, handle(1));
  says(end);
  says_again(end);
  says_again(event(EventKind::batch_started, instance(1), command(1)));
  says_again(event(EventKind::batch_refused, instance(1), command(1)));
  Event cancel = event(EventKind::cancel_asked);
  cancel.request = request(1);
  says(cancel);
  says_again(cancel);
  says_again(event(EventKind::instance_ready, instance(1)));
}

TEST_F(Monitor, RefusesCommandsThatNeverWere) {
  one_request_at_the_encoder();
  EXPECT_EQ(against(event(EventKind::batch_started, instance(1), command(2))),
            "no such command was ever issued");
  EXPECT_EQ(against(event(EventKind::batch_started, instance(1), CommandKey{})),
            "no such command was ever issued");
  EXPECT_EQ(against(event(EventKind::batch_started, instance(1), command(1, 99))),
            "no such command was ever issued");
  EXPECT_EQ(against(event(EventKind::batch_started, instance(1), command(1, 0))),
            "no command with that number had that slot");
  EXPECT_EQ(against(event(EventKind::transfer_finished, instance(1), command(1))),
            "that command is not answered by this");
  EXPECT_EQ(against(event(EventKind::batch_started, instance(2), command(1))),
            "another instance or incarnation was asked");
  EXPECT_EQ(against(event(EventKind::batch_started, instance(1, 2), command(1))),
            "another instance or incarnation was asked");
  Event landed = event(EventKind::tick);
  landed.started = command(1);
  EXPECT_EQ(against(landed), "another instance or incarnation was asked");
}

TEST_F(Monitor, RefusesImpossibleEnds) {
  says(arrived(1));
  asks(Actions().admit(1).enqueue(command(1), instance(2), kDit).member(1, handle(1)));
  EXPECT_EQ(against(finished(instance(2), command(1), 1, handle(1))),
            "the batch finished without a start");
  EXPECT_EQ(against(event(EventKind::step_done, instance(2), command(1))),
            "the batch has not started");
  says(event(EventKind::batch_started, instance(2), command(1)));
  EXPECT_EQ(against(event(EventKind::batch_preempted, instance(2), command(1))),
            "nobody asked to preempt that batch");
  EXPECT_EQ(against(event(EventKind::batch_revoked, instance(2), command(1))),
            "a batch that had started was revoked");
  EXPECT_EQ(against(event(EventKind::batch_refused, instance(2), command(1))),
            "a batch that had started was refused");
  EXPECT_EQ(against(finished(instance(2), command(1), 2, handle(1))),
            "it names a request that the batch does not have");
}

TEST_F(Monitor, RefusesEndsWithoutAllMembers) {
  one_request_at_the_encoder();
  EXPECT_EQ(against(event(EventKind::batch_finished, instance(1), command(1))),
            "the batch has more members than it names");
}

TEST_F(Monitor, RefusesAHandleThatTheCommandDidNotName) {
  one_request_at_the_encoder();
  EXPECT_EQ(against(finished(instance(1), command(1), 1, handle(7))), "nobody named that handle");
}

TEST_F(Monitor, RefusesAHandleOfTheWrongGeneration) {
  one_request_at_the_encoder();
  EXPECT_EQ(against(finished(instance(1), command(1), 1, {1, 2})),
            "its command did not name that handle");
}

TEST_F(Monitor, RefusesTimeThatGoesBackwards) {
  says(event(EventKind::tick));
  EXPECT_STREQ(monitor_.explain(TimePoint{1}, event(EventKind::tick)), "time goes backwards");
}

TEST_F(Monitor, FirstEventIsControllerRestarted) {
  ProtocolMonitor fresh(small_setup());
  EXPECT_STREQ(fresh.explain(TimePoint{}, event(EventKind::tick)),
               "the first event of all is controller_restarted");
  EXPECT_STREQ(fresh.explain(TimePoint{}, restarted(2)), "the first controller has epoch 1");
  EXPECT_EQ(fresh.explain(TimePoint{}, restarted(1)), nullptr);
  EXPECT_STREQ(fresh.explain(TimePoint{}, restarted(1)),
               "a controller's epoch is higher than that of all before it");
}

TEST_F(Monitor, TimersMustHaveBeenArmed) {
  EXPECT_EQ(against(event(EventKind::timer)), "no timer was armed for this instant or before");
  Actions actions;
  actions.add(ActionKind::arm_timer).at = now_.at + Duration{1500};
  asks(actions);
  EXPECT_EQ(against(event(EventKind::timer)), "no timer was armed for this instant or before");
  says(event(EventKind::timer));
}

TEST_F(Monitor, RequestsArriveOnce) {
  says(arrived(1));
  EXPECT_EQ(against(arrived(1)), "request numbers do not increase");
  Event two = arrived(2);
  two.request.generation = 7;
  EXPECT_EQ(against(two), "the request's generation is not the low half of its number");
  two = arrived(2);
  two.body = nullptr;
  EXPECT_EQ(against(two), "the request has no body");
  two = arrived(2);
  two.request.slot = 1;
  EXPECT_EQ(against(two), "an unfinished request holds that slot");
  Event cancel = event(EventKind::cancel_asked);
  cancel.request = {1, 2};
  EXPECT_EQ(against(cancel), "no such request ever arrived");
}

// ---- settling ----------------------------------------------------------------------------------

TEST_F(Monitor, WholeRevokeIsAnsweredByItsEnqueue) {
  one_request_on_its_way_to_the_dit();
  asks(Actions().revoke(command(4), command(2)));
  expect_open(3);
  says(event(EventKind::transfer_cancelled, instance(2), command(3)));  // goes with its batch
  EXPECT_EQ(against(event(EventKind::batch_revoked, instance(2), command(4))),
            "a whole revoke is answered by its enqueue");
  says(event(EventKind::batch_revoked, instance(2), command(2)));
  expect_open(0);
  says_again(event(EventKind::too_late, instance(2), command(4)));
}

TEST_F(Monitor, RevokeThatComesTooLate) {
  one_request_on_its_way_to_the_dit();
  asks(Actions().revoke(command(4), command(2)));
  Event landed = event(EventKind::transfer_finished, instance(2), command(3));
  landed.started = command(2);
  says(landed);
  expect_open(2);
  says(event(EventKind::too_late, instance(2), command(4)));
  expect_open(1);
  says(finished(instance(2), command(2), 1, handle(2)));
  expect_open(0);
}

TEST_F(Monitor, PartialRevokeIsAnsweredByItself) {
  says(arrived(1));
  asks(Actions().admit(1));
  says(arrived(2));
  asks(Actions()
           .admit(2)
           .enqueue(command(1), instance(2), kDit)
           .member(1, handle(1))
           .member(2, handle(2)));
  asks(Actions().revoke(command(2), command(1), request(1)));
  says(event(EventKind::batch_revoked, instance(2), command(2)));
  expect_open(1);
  // Request 1 is free for another attempt, request 2 is not.
  asks(Actions().enqueue(command(3), instance(3), kDit).member(1, handle(3)));
  says(event(EventKind::batch_started, instance(2), command(1)));
  says(finished(instance(2), command(1), 2, handle(2)));
  expect_open(1);
}

TEST_F(Monitor, ExtendJoinsTheBatch) {
  says(arrived(1));
  asks(Actions().admit(1).enqueue(command(1), instance(2), kDit).member(1, handle(1)));
  says(arrived(2));
  asks(Actions().admit(2).extend(command(2), command(1)).member(2, handle(2)));
  says(event(EventKind::batch_extended, instance(2), command(2)));
  says_again(event(EventKind::batch_extended, instance(2), command(2)));
  EXPECT_EQ(against(Actions().enqueue(command(3), instance(3), kDit).member(2, handle(3))),
            "that request has a live attempt at the stage");
  says(event(EventKind::batch_started, instance(2), command(1)));
  const MemberOutcome one{request(1), MemberOutcome::Kind::output, Reason::none, handle(1), 1};
  const MemberOutcome two{request(2), MemberOutcome::Kind::failed, Reason::compute_error, {}, 0};
  says(with_members(event(EventKind::batch_finished, instance(2), command(1)), {two, one}));
  expect_open(0);
}

TEST_F(Monitor, ExtendThatComesTooLateFreesItsRequest) {
  says(arrived(1));
  asks(Actions().admit(1).enqueue(command(1), instance(2), kDit).member(1, handle(1)));
  says(arrived(2));
  asks(Actions().admit(2).extend(command(2), command(1)).member(2, handle(2)));
  says(event(EventKind::batch_started, instance(2), command(1)));
  says(event(EventKind::too_late, instance(2), command(2)));
  asks(Actions().enqueue(command(3), instance(3), kDit).member(2, handle(3)));
  expect_open(2);
}

TEST_F(Monitor, PreemptKeepsStateAndResumes) {
  one_request_runs_at_the_dit();
  asks(Actions().preempt(command(4), command(2)).member(1, {}, {}, handle(4)));
  Event stopped =
      with_members(event(EventKind::batch_preempted, instance(2), command(2)),
                   {{request(1), MemberOutcome::Kind::state, Reason::none, handle(4), 9}});
  stopped.steps_done = 2;
  says(stopped);
  expect_open(0);
  asks(Actions()
           .enqueue(command(5), instance(2), kDit)
           .member(1, handle(5), {{handle(1), true}}, handle(4)));
  says_again(event(EventKind::too_late, instance(2), command(4)));
}

TEST_F(Monitor, CancelledTransferMustHaveBeenCancelled) {
  one_request_on_its_way_to_the_dit();
  EXPECT_EQ(against(event(EventKind::transfer_cancelled, instance(2), command(3))),
            "nobody asked to cancel that transfer");
  asks(Actions().cancel_transfer(command(4), command(3)));
  says(event(EventKind::transfer_cancelled, instance(2), command(3)));
  says_again(event(EventKind::too_late, instance(2), command(4)));
  expect_open(1);
}

TEST_F(Monitor, LostInstanceSettlesEverythingAddressedToIt) {
  one_request_on_its_way_to_the_dit();
  expect_open(2);
  says(event(EventKind::instance_lost, instance(2)));
  expect_open(0);
  says_again(event(EventKind::instance_lost, instance(2)));
  says_again(event(EventKind::batch_started, instance(2), command(2)));
  asks(Actions().enqueue(command(4), instance(3), kDit).member(1, handle(2), {{handle(1), true}}));
  EXPECT_EQ(against(Actions().revoke(command(5), command(2))), "its target is not open");
}

TEST_F(Monitor, HandlesAreLostWithTheirHolder) {
  one_request_at_the_encoder();
  says(finished(instance(1), command(1), 1, handle(1)));
  says(event(EventKind::instance_lost, instance(1)));
  EXPECT_EQ(against(Actions().release(command(2), handle(1), instance(1))),
            "that handle is lost with its holder");
}

TEST_F(Monitor, LostHandle) {
  one_request_at_the_encoder();
  Event lost = event(EventKind::handle_lost, instance(1));
  lost.handle = handle(1);
  EXPECT_EQ(against(lost), "that handle was lost before there was one");
  says(finished(instance(1), command(1), 1, handle(1)));
  says(lost);
  says_again(lost);
  EXPECT_EQ(against(Actions().release(command(2), handle(1), instance(1))),
            "nobody holds that handle");
}

TEST_F(Monitor, EachHandleEndsOnce) {
  one_request_at_the_encoder();
  says(finished(instance(1), command(1), 1, handle(1)));
  asks(Actions().release(command(2), handle(1), instance(1)));
  EXPECT_EQ(against(Actions().release(command(3), handle(1), instance(1))),
            "nobody holds that handle");
}

TEST_F(Monitor, AHandlesSlotIsReusedOnlyWhenItIsOver) {
  one_request_at_the_encoder();
  says(finished(instance(1), command(1), 1, handle(1)));
  EXPECT_EQ(against(Actions().enqueue(command(2), instance(2), kDit).member(1, {1, 2})),
            "a handle's slot is reused, the handle is not over");
}

// ---- instances ---------------------------------------------------------------------------------

TEST_F(Monitor, LostInstanceReturnsAsSomebodyNew) {
  EXPECT_EQ(against(event(EventKind::instance_ready, instance(2, 2))),
            "the incarnation before it is not known lost");
  says(event(EventKind::instance_lost, instance(2)));
  EXPECT_EQ(against(event(EventKind::instance_ready, instance(2, 3))),
            "nobody asked for that incarnation");
  says(event(EventKind::instance_ready, instance(2, 2)));
  says_again(event(EventKind::instance_lost, instance(2, 1)));
  says(arrived(1));
  EXPECT_EQ(against(Actions().admit(1).enqueue(command(1), instance(2, 1), kDit).member(1, {})),
            "no such incarnation was ever known");
}

TEST_F(Monitor, NobodyKnowsOtherInstances) {
  EXPECT_EQ(against(event(EventKind::instance_ready, instance(5))),
            "no such incarnation was ever known");
  EXPECT_EQ(against(event(EventKind::instance_lost, instance(1, 2))),
            "no such incarnation was ever known");
  EXPECT_EQ(against(event(EventKind::reclaim_notice, instance(9))),
            "no such incarnation was ever known");
}

TEST_F(Monitor, ReRoleIsDrainUnloadLoad) {
  asks(Actions().life(ActionKind::drain, command(1), instance(2)));
  says(event(EventKind::instance_drained, instance(2), command(1)));
  EXPECT_EQ(against(event(EventKind::instance_ready, instance(2), command(1))),
            "that command is not answered by this");
  asks(Actions().life(ActionKind::unload, command(2), instance(2)));
  says(event(EventKind::instance_unloaded, instance(2), command(2)));
  asks(Actions().life(ActionKind::load, command(3), instance(2), PoolId{2}));
  says(event(EventKind::instance_ready, instance(2), command(3)));
  expect_open(0);
  says(arrived(1));
  asks(Actions().admit(1).enqueue(command(4), instance(2), kDecoder).member(1, {}));
  EXPECT_EQ(against(Actions().enqueue(command(5), instance(2), kDit).member(1, {})),
            "that instance does not host the stage");
}

TEST_F(Monitor, UndrainTakesTheDrainBack) {
  asks(Actions().life(ActionKind::drain, command(1), instance(2)));
  Actions undrain;
  undrain.add(ActionKind::undrain).instance = instance(2);
  asks(undrain);
  expect_open(0);
  says_again(event(EventKind::instance_drained, instance(2), command(1)));
  says(arrived(1));
  asks(Actions().admit(1).enqueue(command(2), instance(2), kDit).member(1, {}));
}

TEST_F(Monitor, ProvisionLoadStop) {
  asks(Actions().life(ActionKind::provision, command(1), instance(5), PoolId{1}));
  EXPECT_EQ(against(event(EventKind::instance_ready, instance(5), command(1))),
            "that command is not answered by this");
  says(event(EventKind::instance_provisioned, instance(5), command(1)));
  asks(Actions().life(ActionKind::load, command(2), instance(5), PoolId{1}));
  says(event(EventKind::load_failed, instance(5), command(2)));
  asks(Actions().life(ActionKind::load, command(3), instance(5), PoolId{1}));
  says(event(EventKind::instance_ready, instance(5), command(3)));
  asks(Actions().life(ActionKind::stop, command(4), instance(5)));
  says(event(EventKind::instance_stopped, instance(5), command(4)));
  expect_open(0);
  EXPECT_EQ(against(event(EventKind::instance_ready, instance(5, 2))),
            "nobody asked for that incarnation");
  asks(Actions().life(ActionKind::provision, command(5), instance(5, 2), PoolId{0}));
  says(event(EventKind::start_failed, instance(5, 2), command(5)));
  expect_open(0);
}

// ---- the scheduler's side ----------------------------------------------------------------------

TEST_F(Monitor, RefusesActionsOfNoSense) {
  says(arrived(1));
  EXPECT_EQ(against(Actions().enqueue(command(1), instance(1), kEncoder).member(1, {})),
            "it names a request that is not being served");
}

TEST_F(Monitor, CommandNumbersIncrease) {
  one_request_at_the_encoder();
  EXPECT_EQ(against(Actions().release(command(1, 9), handle(1), instance(1))),
            "command numbers do not increase");
  EXPECT_EQ(against(Actions().release(command(2, 9, 2), handle(1), instance(1))),
            "the command's epoch is not this controller's");
  EXPECT_EQ(against(Actions().life(ActionKind::drain, command(2, 1), instance(4))),
            "an open command holds that slot");
}

TEST_F(Monitor, RequestsEndOnce) {
  says(arrived(1));
  asks(Actions().admit(1));
  EXPECT_EQ(against(Actions().admit(1)), "that request was admitted before");
  asks(Actions().end(1));
  EXPECT_EQ(against(Actions().end(1)), "that request has ended");
  EXPECT_EQ(against(Actions().end(2)), "there is no such request");
}

TEST_F(Monitor, OneLiveAttempt) {
  one_request_on_its_way_to_the_dit();
  EXPECT_EQ(against(Actions().enqueue(command(4), instance(3), kDit).member(1, {})),
            "that request has a live attempt at the stage");
}

TEST_F(Monitor, BatchesFitTheInstance) {
  says(arrived(1));
  asks(Actions().admit(1));
  says(arrived(2));
  EXPECT_EQ(against(Actions()
                        .admit(2)
                        .enqueue(command(1), instance(1), kEncoder)
                        .member(1, {})
                        .member(2, {})),
            "the batch is larger than the instance takes");
  EXPECT_EQ(against(Actions().enqueue(command(2), instance(1), kEncoder)), "the batch is empty");
}

TEST_F(Monitor, DrainingInstancesTakeNothing) {
  says(arrived(1));
  asks(Actions().admit(1).life(ActionKind::drain, command(1), instance(2)));
  EXPECT_EQ(against(Actions().enqueue(command(2), instance(2), kDit).member(1, {})),
            "that instance is draining");
}

TEST_F(Monitor, OutputSentAfterTheEnd) {
  one_request_at_the_encoder();
  Actions sent;
  sent.add(ActionKind::output_sent).target = command(1);
  EXPECT_EQ(against(sent), "that batch has not finished");
  says(finished(instance(1), command(1), 1, handle(1)));
  asks(sent);
}

TEST_F(Monitor, TransfersComeFromTheHolder) {
  one_request_at_the_encoder();
  EXPECT_EQ(against(Actions().transfer(command(2), handle(1), instance(1), instance(2))),
            "nobody holds that handle");
  says(finished(instance(1), command(1), 1, handle(1)));
  EXPECT_EQ(against(Actions().transfer(command(3), handle(1), instance(3), instance(2))),
            "the sender does not hold that handle");
}

TEST_F(Monitor, RequestInputsLieAtTheController) {
  says(arrived(1));
  asks(Actions()
           .admit(1)
           .enqueue(command(1), instance(1), kEncoder)
           .member(1, handle(2), {{handle(1), true}})
           .transfer(command(2), handle(1), {kController, 0}, instance(1), command(1)));
  asks(Actions().release(command(3), handle(1), {kController, 0}));
  says(event(EventKind::transfer_finished, instance(1), command(2)));
  says(event(EventKind::handle_released, {kController, 0}, command(3)));
  expect_open(1);
}

// ---- restart -----------------------------------------------------------------------------------

TEST_F(Monitor, CommandsOfEarlierControllersStayValid) {
  one_request_runs_at_the_dit();
  says(restarted(2));
  EXPECT_EQ(monitor_.epoch(), 2U);
  says(finished(instance(2), command(2), 1, handle(2)));
  expect_open(0);
  EXPECT_EQ(against(Actions().release(command(4), handle(1), instance(1))),
            "the command's epoch is not this controller's");
  asks(Actions().release(command(1, 4, 2), handle(1), instance(1)));
}

TEST_F(Monitor, WhatAnInventoryLacksWasRefused) {
  one_request_on_its_way_to_the_dit();
  says(restarted(2));
  Event has = event(EventKind::inventory, instance(2));
  EXPECT_EQ(against(has), "the inventory is missing");
  Inventory inventory;
  const CommandKey never[] = {command(99)};
  inventory.run_queue = never;
  has.inventory = &inventory;
  EXPECT_EQ(against(has), "no such command was ever issued");
  inventory.run_queue = {};
  says(has);
  expect_open(1);  // the transfer is asked for again
  says_again(event(EventKind::batch_refused, instance(2), command(2)));
  asks(Actions().enqueue(command(1, 7, 2), instance(3), kDit).member(1, handle(5)));
}

TEST_F(Monitor, ATransferMayBeAskedForAgainAfterARestart) {
  one_request_on_its_way_to_the_dit();
  const Actions again =
      Actions().transfer(command(3), handle(1), instance(1), instance(2), command(2));
  EXPECT_EQ(against(again), "command numbers do not increase");
  says(restarted(2));
  asks(again);
  expect_open(2);
}

}  // namespace
}  // namespace disagfusion::scheduler
