// Outputs of requests under serve.state, durable before anybody is told that they are there.
#pragma once

#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "exec/net/asio.hpp"
#include "exec/stage/buffer.hpp"

namespace disagfusion::exec {

/// Files of a thread of its own. Names: NUMBER-STAGE-PICTURE.png for pictures, NUMBER-STAGE.bin for
/// what is none; STAGE counts over all models' stages.
class OutputStore {
 public:
  /// The folder exists.
  OutputStore(asio::io_context& context, std::string folder);
  ~OutputStore();

  /// Writes an output to the disk, flushes it and puts it in place; then calls `done` on the
  /// context's thread with whether that went well. Writing the same output again replaces it.
  void keep(std::uint64_t number, std::uint32_t node, Buffer bytes, std::function<void(bool)> done);

  /// Every picture of a request, as PNG files, in the order of stages; read from the disk on the
  /// store's thread, then `done` on the context's.
  void read(std::uint64_t number, std::vector<std::uint32_t> nodes,
            std::function<void(std::vector<std::string>)> done);

 private:
  asio::io_context& context_;
  std::string folder_;
  asio::thread_pool thread_{1};
};

}  // namespace disagfusion::exec
