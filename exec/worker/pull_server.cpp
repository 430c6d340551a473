#include "exec/worker/pull_server.hpp"

#include "exec/net/framing.hpp"
#include "exec/protocol/convert.hpp"

namespace disagfusion::exec {

PullServer::PullServer(asio::io_context& context, std::string token, std::uint16_t port,
                       Source source)
    : acceptor_(context), token_(std::move(token)), source_(std::move(source)) {
  const auto loopback = asio::ip::address_v4::loopback();
  acceptor_.open(tcp::v4());
  acceptor_.set_option(tcp::acceptor::reuse_address(true));
  error_code taken;
  acceptor_.bind({loopback, port}, taken);
  if (taken) acceptor_.bind({loopback, 0});
  acceptor_.listen();
  port_ = acceptor_.local_endpoint().port();
}

std::shared_ptr<PullServer> PullServer::start(asio::io_context& context, std::string token,
                                              std::uint16_t port, Source source) {
  std::shared_ptr<PullServer> server(
      new PullServer(context, std::move(token), port, std::move(source)));
  asio::co_spawn(context, accept(server), asio::detached);
  return server;
}

void PullServer::stop() {
  error_code ignored;
  acceptor_.close(ignored);
  source_ = {};
}

asio::awaitable<void> PullServer::accept(std::shared_ptr<PullServer> self) {
  while (self->acceptor_.is_open()) {
    auto [error, peer] = co_await self->acceptor_.async_accept(use_tuple);
    if (error == asio::error::operation_aborted) break;
    if (error) {
      co_await sleep_for(std::chrono::milliseconds(50));  // out of descriptors: they come back
      continue;
    }
    asio::co_spawn(co_await asio::this_coro::executor, serve(self, std::move(peer)),
                   asio::detached);
  }
}

asio::awaitable<void> PullServer::serve(std::shared_ptr<PullServer> self, tcp::socket peer) {
  error_code ignored;
  peer.set_option(tcp::no_delay(true), ignored);
  wire::Pull pull;
  while (co_await read_frame(peer, pull)) {
    if (pull.token() != self->token_) co_return;
    const scheduler::HandleKey handle = from_wire(pull.handle());
    std::optional<Buffer> bytes;
    if (self->source_.find) bytes = self->source_.find(from_wire(pull.holder()), handle);
    wire::PullReply reply;
    reply.set_status(bytes ? 1 : 2);
    reply.set_size(bytes ? bytes->size() : 0);
    std::string head;
    append_frame(head, reply);
    if (bytes && bytes->size() <= kSmallPull) head += bytes->bytes();
    if (!co_await write_all(peer, head)) co_return;
    if (bytes && bytes->size() > kSmallPull && !co_await write_all(peer, bytes->bytes())) co_return;
    if (bytes && self->source_.served) self->source_.served(handle);
  }
}

}  // namespace disagfusion::exec
