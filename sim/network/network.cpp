#include "sim/network/network.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/append.hpp"
#include "base/check.hpp"

namespace disagfusion::sim {

namespace {

/// Time in which `bytes` go at `rate`, rounded up to a nanosecond.
Duration time_of_bytes(double bytes, double rate) {
  if (!(bytes > 0) || !std::isfinite(rate)) return {};
  return {static_cast<std::int64_t>(std::ceil(bytes / rate * 1e9))};
}

}  // namespace

std::uint32_t Network::add_resource(double capacity) {
  capacity_.push_back(capacity);
  flows_.emplace_back();
  resource_mark_.push_back(0);
  return static_cast<std::uint32_t>(capacity_.size() - 1);
}

Network::TransferId Network::take() {
  ++active_;
  if (free_.empty()) {
    transfers_.emplace_back();
    return static_cast<TransferId>(transfers_.size() - 1);
  }
  const TransferId id = free_.back();
  free_.pop_back();
  return id;
}

void Network::release(TransferId id) {
  transfers_[id].state = State::free;
  append(free_, id);
}

Network::TransferId Network::start(TimePoint now, std::uint32_t egress, std::uint32_t ingress,
                                   double bytes, Duration latency) {
  const TransferId id = take();
  Transfer& t = transfers_[id];
  t = Transfer{};
  t.order = sequence_++;
  t.egress = finite(egress) ? egress : kNoResource;
  t.ingress = finite(ingress) ? ingress : kNoResource;
  t.remaining = bytes;
  t.latency = latency;
  if (bytes <= 0 || (t.egress == kNoResource && t.ingress == kNoResource)) {
    deliver_after(now, id, latency);
    return id;
  }
  purge(t.egress, now);
  purge(t.ingress, now);
  const bool alone = quiet(t.egress) && quiet(t.ingress);
  attach(id);
  if (alone) {
    start_alone(now, id);
  } else {
    share(now, t.egress, t.ingress);
  }
  return id;
}

/// A constant delay: into the lane where it keeps the order, else into the heap.
void Network::deliver_after(TimePoint now, TransferId id, Duration delay) {
  const TimePoint at = now + delay;
  Transfer& t = transfers_[id];
  if (lane_.empty() || lane_.back().time <= at) {
    t.state = State::lane;
    lane_.push() = {at, t.order, id};
  } else {
    t.state = State::landing;
    heap_.set(id, at, t.order);
  }
}

/// Flows that were alone on their links and whose last byte has gone are not there any more.
void Network::purge(std::uint32_t resource, TimePoint now) {
  if (resource == kNoResource) return;
  for (std::size_t i = 0; i < flows_[resource].size();) {
    const TransferId id = flows_[resource][i];
    if (transfers_[id].state == State::alone && transfers_[id].last_byte <= now) {
      detach(id);
      transfers_[id].state = State::landing;
    } else {
      ++i;
    }
  }
}

void Network::attach(TransferId id) {
  const Transfer& t = transfers_[id];
  if (t.egress != kNoResource) append(flows_[t.egress], id);
  if (t.ingress != kNoResource && t.ingress != t.egress) append(flows_[t.ingress], id);
}

void Network::detach(TransferId id) {
  const Transfer& t = transfers_[id];
  for (const std::uint32_t resource : {t.egress, t.ingress}) {
    if (resource == kNoResource) continue;
    auto& flows = flows_[resource];
    for (TransferId& flow : flows) {
      if (flow != id) continue;
      flow = flows.back();
      flows.pop_back();
      break;
    }
  }
}

void Network::start_alone(TimePoint now, TransferId id) {
  Transfer& t = transfers_[id];
  double rate = std::numeric_limits<double>::infinity();
  if (t.egress != kNoResource) rate = std::min(rate, capacity_[t.egress]);
  if (t.ingress != kNoResource) rate = std::min(rate, capacity_[t.ingress]);
  t.state = State::alone;
  t.rate = rate;
  t.updated = now;
  t.last_byte = now + time_of_bytes(t.remaining, rate);
  heap_.set(id, t.last_byte + t.latency, t.order);
}

void Network::collect(std::uint32_t resource, TimePoint now) {
  if (resource == kNoResource || resource_mark_[resource] == mark_) return;
  resource_mark_[resource] = mark_;
  purge(resource, now);
  for (const TransferId id : flows_[resource]) {
    if (transfers_[id].mark == mark_) continue;
    transfers_[id].mark = mark_;
    members_.push_back(id);
  }
}

void Network::share(TimePoint now, std::uint32_t egress, std::uint32_t ingress) {
  if (++mark_ == 0) {  // wrapped: forget old marks
    std::fill(resource_mark_.begin(), resource_mark_.end(), 0U);
    for (Transfer& t : transfers_) t.mark = 0;
    mark_ = 1;
  }
  members_.clear();
  collect(egress, now);
  collect(ingress, now);
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const Transfer& t = transfers_[members_[i]];
    collect(t.egress, now);
    collect(transfers_[members_[i]].ingress, now);
  }
  component_.clear();
  for (const TransferId id : members_) {
    Transfer& t = transfers_[id];
    if (t.state == State::alone || t.state == State::shared) {
      t.remaining = std::max(0.0, t.remaining - t.rate * (now - t.updated).seconds());
    }
    t.updated = now;
    component_.push_back({t.egress, t.ingress, 0});
  }
  if (members_.size() == 1) {
    start_alone(now, members_.front());
    return;
  }
  max_min_.solve(component_, capacity_);
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Transfer& t = transfers_[members_[i]];
    t.state = State::shared;
    t.rate = component_[i].rate;
    t.last_byte = now + time_of_bytes(t.remaining, t.rate);
    heap_.set(members_[i], t.last_byte, t.order);
  }
}

void Network::cancel(TimePoint now, TransferId id) {
  Transfer& t = transfers_[id];
  DF_CHECK(t.state != State::free && !t.cancelled, "transfer {} is not under way", id);
  --active_;
  if (t.state == State::lane) {
    t.cancelled = true;
    drop_cancelled();
    return;
  }
  heap_.erase(id);
  detach(id);
  const bool shared = t.state == State::shared;
  const std::uint32_t egress = t.egress, ingress = t.ingress;
  release(id);
  if (shared) share(now, egress, ingress);
}

void Network::drop_cancelled() {
  while (!lane_.empty() && transfers_[lane_.front().transfer].cancelled) {
    release(lane_.front().transfer);
    lane_.pop();
  }
}

Network::Next Network::next() const {
  Next next;
  if (!lane_.empty()) next = {lane_.front().time, lane_.front().sequence};
  if (!heap_.empty()) {
    const IndexedHeap::Item& top = heap_.top();
    if (top.time < next.time || (top.time == next.time && top.sequence < next.sequence)) {
      next = {top.time, top.sequence};
    }
  }
  return next;
}

std::optional<Network::TransferId> Network::advance() {
  const Next now = next();
  if (!lane_.empty() && lane_.front().sequence == now.sequence) {
    const TransferId id = lane_.front().transfer;
    lane_.pop();
    drop_cancelled();
    release(id);
    --active_;
    return id;
  }
  const TransferId id = heap_.top().id;
  heap_.pop();
  Transfer& t = transfers_[id];
  if (t.state == State::shared) {  // its last byte has gone
    detach(id);
    const std::uint32_t egress = t.egress, ingress = t.ingress;
    t.state = State::landing;
    share(now.time, egress, ingress);
    if (transfers_[id].latency.ns > 0) {
      heap_.set(id, now.time + transfers_[id].latency, transfers_[id].order);
      return std::nullopt;
    }
  } else if (t.state == State::alone) {
    detach(id);
  }
  release(id);
  --active_;
  return id;
}

double Network::rate(TransferId id, TimePoint now) const {
  const Transfer& t = transfers_[id];
  // One that was alone is taken off its links lazily.
  const bool flows = t.state == State::shared || (t.state == State::alone && now < t.last_byte);
  return flows ? t.rate : 0;
}

}  // namespace disagfusion::sim
