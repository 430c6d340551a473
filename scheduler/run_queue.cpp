#include "scheduler/run_queue.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/inline.hpp"

namespace disagfusion::scheduler {

// ---- OutputSlots -------------------------------------------------------------------------------

void OutputSlots::host(std::span<const WeightsId> stages, std::uint32_t slots) {
  slots_ = slots;
  outputs_.clear();
  stages_.clear();
  for (const WeightsId stage : stages) stages_.push_back({stage, 0});
}

OutputSlots::Stage* OutputSlots::find(WeightsId stage) {
  for (Stage& s : stages_) {
    if (s.weights == stage) return &s;
  }
  return nullptr;
}

void OutputSlots::finish(CommandKey enqueue, WeightsId stage, std::uint32_t transfers) {
  if (!counting() || transfers == 0) return;
  Stage* s = find(stage);
  DF_CHECK(s != nullptr, "stage {} is not hosted", stage.value);
  ++s->outstanding;
  outputs_.push_back({enqueue, stage, transfers});
}

bool OutputSlots::free(std::size_t position) {
  Stage* s = find(outputs_[position].stage);
  outputs_[position] = outputs_.back();
  outputs_.pop_back();
  const bool was_blocked = s->outstanding > slots_;
  --s->outstanding;
  return was_blocked && s->outstanding <= slots_;
}

bool OutputSlots::transfer_ended(CommandKey enqueue) {
  if (!counting()) return false;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    Output& output = outputs_[i];
    if (output.enqueue != enqueue) continue;
    if (output.remaining == kTold || --output.remaining > 0) return false;
    return free(i);
  }
  return false;
}

bool OutputSlots::output_sent(CommandKey enqueue) {
  if (!counting()) return false;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i].enqueue == enqueue) return free(i);
  }
  return false;
}

bool OutputSlots::over_limit(WeightsId stage) const {
  for (const Stage& s : stages_) {
    if (s.weights == stage) return s.outstanding > slots_;
  }
  return false;
}

// ---- RunQueue ----------------------------------------------------------------------------------

void RunQueue::host(std::span<const WeightsId> stages, std::uint32_t output_slots) {
  DF_CHECK(running_ == kNone, "a role is changed while compute runs");
  hosted_.assign(stages.begin(), stages.end());
  outputs_.host(stages, output_slots);
  free_.insert(free_.end(), order_.begin(), order_.end());
  order_.clear();
  draining_ = false;
}

DF_INLINE std::uint32_t RunQueue::take() {
  if (free_.empty()) {
    pool_.emplace_back();
    return static_cast<std::uint32_t>(pool_.size() - 1);
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  return index;
}

DF_INLINE void RunQueue::append_members(Entry& entry, const Action& action,
                                        const ActionBuffer& buffer) {
  for (const BatchMember& member : buffer.members_of(action)) {
    append(entry.members, member);
    for (const BatchInput& input : buffer.inputs_of(member)) {
      if (input.transferred) append(entry.awaited, {input.handle, member.request});
    }
  }
}

bool RunQueue::enqueue(const Action& action, const ActionBuffer& buffer) {
  const auto hosted = std::find(hosted_.begin(), hosted_.end(), action.weights);
  if (hosted == hosted_.end()) return false;
  const std::uint32_t index = take();
  Entry& entry = pool_[index];
  entry.command = action.command;
  entry.weights = action.weights;
  entry.node = action.node;
  entry.rank = static_cast<std::uint32_t>(hosted - hosted_.begin());
  entry.order = action.order;
  entry.first_step = action.first_step;
  entry.last_step = action.last_step;
  entry.output_transfers = action.output_transfers;
  entry.members.clear();
  entry.awaited.clear();
  append_members(entry, action, buffer);
  insert(index);
  return true;
}

DF_INLINE void RunQueue::insert(std::uint32_t index) {
  const Entry& entry = pool_[index];
  const auto earlier = [&](const Entry& other) {
    return entry.rank < other.rank || (entry.rank == other.rank && entry.order < other.order);
  };
  std::size_t place = order_.size();
  while (place > 0 && earlier(pool_[order_[place - 1]])) --place;
  if (place == order_.size()) {
    append(order_, index);
  } else {
    order_.insert(order_.begin() + static_cast<std::ptrdiff_t>(place), index);
  }
}

bool RunQueue::extend(const Action& action, const ActionBuffer& buffer) {
  const std::size_t place = place_of(action.target);
  if (place == kNowhere) return false;
  Entry& entry = pool_[order_[place]];
  append_members(entry, action, buffer);
  if (action.output_transfers == kTold) {
    entry.output_transfers = kTold;
  } else if (entry.output_transfers != kTold) {
    entry.output_transfers += action.output_transfers;
  }
  return true;
}

RunQueue::Revoked RunQueue::revoke(CommandKey enqueue, RequestKey request) {
  const std::size_t place = place_of(enqueue);
  if (place == kNowhere) return Revoked::too_late;
  if (request.valid()) {
    Entry& entry = pool_[order_[place]];
    const auto of_request = [&](const auto& part) { return part.request == request; };
    if (std::erase_if(entry.members, of_request) == 0) return Revoked::too_late;
    std::erase_if(entry.awaited, of_request);
    if (!entry.members.empty()) return Revoked::member;
  }
  remove(place);
  return Revoked::all;
}

void RunQueue::input_arrived(CommandKey enqueue, HandleKey handle) {
  const std::size_t place = place_of(enqueue);
  if (place == kNowhere) return;
  auto& awaited = pool_[order_[place]].awaited;
  for (Awaited& a : awaited) {
    if (a.handle != handle) continue;
    a = awaited.back();
    awaited.pop_back();
    return;
  }
}

std::size_t RunQueue::place_of(CommandKey enqueue) const {
  for (std::size_t i = 0; i < order_.size(); ++i) {
    if (pool_[order_[i]].command == enqueue) return i;
  }
  return kNowhere;
}

const RunQueue::Entry* RunQueue::find(CommandKey enqueue) const {
  const std::size_t place = place_of(enqueue);
  return place == kNowhere ? nullptr : &pool_[order_[place]];
}

void RunQueue::remove(std::size_t place) {
  free_.push_back(order_[place]);
  order_.erase(order_.begin() + static_cast<std::ptrdiff_t>(place));
}

}  // namespace disagfusion::scheduler
