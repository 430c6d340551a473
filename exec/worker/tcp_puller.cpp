#include "exec/worker/tcp_puller.hpp"

#include <algorithm>
#include <boost/asio/read.hpp>

#include "exec/net/framing.hpp"
#include "exec/protocol/convert.hpp"

namespace disagfusion::exec {
namespace {

/// Reads `size` bytes; nothing where the peer goes or stays silent.
asio::awaitable<std::optional<std::string>> read_bytes(tcp::socket& socket, std::size_t size) {
  constexpr std::size_t kPart = std::size_t{1} << 20U;
  std::string bytes;
  while (bytes.size() < size) {
    const std::size_t had = bytes.size();
    bytes.resize(std::min(size, had + kPart));
    const auto got = co_await with_timeout(
        asio::async_read(socket, asio::buffer(bytes.data() + had, bytes.size() - had), use_tuple),
        TcpPuller::kSilence);
    if (!got || std::get<0>(*got)) co_return std::nullopt;
  }
  co_return bytes;
}

}  // namespace

TcpPuller::TcpPuller(asio::io_context& context, std::string token)
    : context_(context), state_(std::make_shared<State>(std::move(token))) {}

TcpPuller::~TcpPuller() {
  for (auto& [id, job] : state_->jobs) {
    job->cancelled = true;
    error_code ignored;
    job->socket.close(ignored);
  }
  state_->jobs.clear();
  state_->idle.clear();
}

void TcpPuller::pull(std::uint64_t id, const PullSource& source,
                     std::function<void(std::optional<Buffer>)> done) {
  auto job = std::make_shared<Job>(Job{source, std::move(done), tcp::socket(context_)});
  state_->jobs[id] = job;
  asio::co_spawn(context_, run(state_, id, job), asio::detached);
}

bool TcpPuller::cancel(std::uint64_t id) {
  const auto job = state_->jobs.find(id);
  if (job == state_->jobs.end()) return false;
  job->second->cancelled = true;
  error_code ignored;
  job->second->socket.close(ignored);
  state_->jobs.erase(job);
  return true;
}

asio::awaitable<void> TcpPuller::run(std::shared_ptr<State> state, std::uint64_t id,
                                     std::shared_ptr<Job> job) {
  std::optional<Buffer> bytes = co_await fetch(state, job);
  while (!bytes && !job->cancelled && job->source.holder.id == kController) {
    co_await sleep_for(kControllerRetry);  // it is being started again, and has its handles then
    if (!job->cancelled) bytes = co_await fetch(state, job);
  }
  if (job->cancelled) co_return;
  state->jobs.erase(id);
  if (bytes) state->idle[job->source.port].push_back(std::move(job->socket));
  job->done(std::move(bytes));
}

asio::awaitable<std::optional<Buffer>> TcpPuller::fetch(std::shared_ptr<State> state,
                                                        std::shared_ptr<Job> job) {
  // A kept connection may have ended meanwhile: then once more on a fresh one.
  for (;;) {
    std::vector<tcp::socket>& idle = state->idle[job->source.port];
    const bool kept = !idle.empty();
    if (kept) {
      job->socket = std::move(idle.back());
      idle.pop_back();
    } else {
      const tcp::endpoint peer(asio::ip::address_v4::loopback(), job->source.port);
      job->socket = tcp::socket(co_await asio::this_coro::executor);
      const auto [error] = co_await job->socket.async_connect(peer, use_tuple);
      if (error || job->cancelled) co_return std::nullopt;
      error_code ignored;
      job->socket.set_option(tcp::no_delay(true), ignored);
    }
    bool answered = false;
    auto bytes = co_await exchange(state, job, &answered);
    if (bytes || answered || !kept || job->cancelled) co_return bytes;
  }
}

asio::awaitable<std::optional<Buffer>> TcpPuller::exchange(std::shared_ptr<State> state,
                                                           std::shared_ptr<Job> job,
                                                           bool* answered) {
  wire::Pull pull;
  pull.set_token(state->token);
  to_wire(job->source.holder, *pull.mutable_holder());
  to_wire(job->source.handle, *pull.mutable_handle());
  wire::PullReply reply;
  if (!co_await write_frame(job->socket, pull)) co_return std::nullopt;
  const auto replied = co_await with_timeout(read_frame(job->socket, reply), kSilence);
  if (!replied.value_or(false)) co_return std::nullopt;
  *answered = true;
  if (reply.status() != 1 || reply.size() > kLargestPull) co_return std::nullopt;
  auto bytes = co_await read_bytes(job->socket, reply.size());
  if (!bytes) co_return std::nullopt;
  co_return Buffer::of(std::move(*bytes));
}

}  // namespace disagfusion::exec
