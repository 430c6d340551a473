// The parts of Boost.Asio that exec uses, and the one way to bound a wait.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <optional>
#include <utility>

namespace disagfusion::exec {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;

/// Completes with (error_code, ...) instead of throwing.
inline constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

/// Waits on the coroutine's executor. Cancellation ends it early.
inline asio::awaitable<void> sleep_for(std::chrono::nanoseconds length) {
  asio::steady_timer timer(co_await asio::this_coro::executor, length);
  co_await timer.async_wait(use_tuple);
}

/// The operation's result, or nothing where it took longer than `limit`: it is cancelled then, and
/// awaited, so nothing that it refers to is used after the return. Errors pass through.
template <class T>
asio::awaitable<std::optional<T>> with_timeout(asio::awaitable<T> operation,
                                               std::chrono::nanoseconds limit) {
  using namespace asio::experimental::awaitable_operators;
  auto first = co_await (std::move(operation) || sleep_for(limit));
  if (first.index() == 0) co_return std::move(std::get<0>(first));
  co_return std::nullopt;
}

}  // namespace disagfusion::exec
