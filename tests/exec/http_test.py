"""What the HTTP server refuses, and how: one clear JSON error, never a crash. One server for all."""

import http.client
import json
import pathlib
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from live import PROGRAM, Live  # noqa: E402

GOOD = {"model": "toy", "prompt": "a red sneaker"}

# (what is wrong, body, status, param)
BAD_BODIES = [
    ("no JSON", b"{", 400, "body"),
    ("nothing", b"", 400, "body"),
    ("not UTF-8", b'{"prompt": "\xff\xfe"}', 400, "body"),
    ("no object", b"[]", 400, "body"),
    ("text after it", b'{"prompt": "a"} {}', 400, "body"),
    ("NaN", b'{"prompt": "a", "guidance": NaN}', 400, "body"),
    ("infinity", b'{"prompt": "a", "guidance": 1e999}', 400, None),
    ("nested too deep", b'{"prompt":' + b"[" * 100000 + b"]" * 100000 + b"}", 400, "body"),
    ("twice", b'{"prompt": "a", "prompt": "b"}', 400, "prompt"),
    ("prompt is missing", {"model": "toy"}, 400, "prompt"),
    ("prompt is empty", {"prompt": ""}, 400, "prompt"),
    ("prompt is a number", {"prompt": 5}, 400, "prompt"),
    ("prompt is null", {"prompt": None}, 400, "prompt"),
    ("prompt is too long", {"prompt": "a" * 40000}, 400, "prompt"),
    ("unknown model", {**GOOD, "model": "toi"}, 400, "model"),
    ("model is a list", {**GOOD, "model": ["toy"]}, 400, "model"),
    ("no images", {**GOOD, "n": 0}, 400, "n"),
    ("negative n", {**GOOD, "n": -1}, 400, "n"),
    ("absurd n", {**GOOD, "n": 10**30}, 400, "n"),
    ("n is a text", {**GOOD, "n": "1"}, 400, "n"),
    ("n is broken", {**GOOD, "n": 1.5}, 400, "n"),
    ("n is true", {**GOOD, "n": True}, 400, "n"),
    ("size without a cross", {**GOOD, "size": "64"}, 400, "size"),
    ("size of zero", {**GOOD, "size": "0x64"}, 400, "size"),
    ("negative size", {**GOOD, "size": "-64x64"}, 400, "size"),
    ("absurd size", {**GOOD, "size": "64x99999999999"}, 400, "size"),
    ("size with more", {**GOOD, "size": "64x64x64"}, 400, "size"),
    ("size is a number", {**GOOD, "size": 64}, 400, "size"),
    ("negative seed", {**GOOD, "seed": -1}, 400, "seed"),
    ("absurd seed", {**GOOD, "seed": 2**63}, 400, "seed"),
    ("seed is a text", {**GOOD, "seed": "7"}, 400, "seed"),
    ("no steps", {**GOOD, "steps": 0}, 400, "steps"),
    ("absurd steps", {**GOOD, "steps": 1000000}, 400, "steps"),
    ("negative guidance", {**GOOD, "guidance": -1}, 400, "guidance"),
    ("deadline of zero", {**GOOD, "deadline_s": 0}, 400, "deadline_s"),
    ("only b64_json", {**GOOD, "response_format": "url"}, 400, "response_format"),
    ("only PNG", {**GOOD, "output_format": "webp"}, 400, "output_format"),
    ("no streams", {**GOOD, "stream": True}, 400, "stream"),
    ("unknown field", {**GOOD, "stepz": 4}, 400, "stepz"),
]

TOLERATED = {"quality": "high", "style": "vivid", "background": "auto", "moderation": "low",
             "output_compression": 100, "user": "me", "n": None, "size": "auto", "stream": False,
             "response_format": "b64_json"}


class HttpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.live = Live()

    @classmethod
    def tearDownClass(cls):
        assert cls.live.stop() == 0, cls.live.errors()

    def expect_error(self, status, answer, wanted, param=None):
        self.assertEqual(status, wanted, answer)
        self.assertEqual(list(answer), ["error"])
        self.assertEqual(set(answer["error"]), {"type", "message", "param"})
        if param is not None:
            self.assertEqual(answer["error"]["param"], param)
        text = json.dumps(answer)
        self.assertNotIn("/", text.replace("application/json", ""), "no path in it")

    def test_bad_bodies(self):
        before = self.live.status()["requests"]["arrived"]
        for what, body, wanted, param in BAD_BODIES:
            with self.subTest(what):
                status, headers, answer = self.live.ask("POST", "/v1/images/generations", body)
                self.expect_error(status, answer, wanted, param)
                self.assertIn("X-Request-Id", headers)
        self.assertEqual(self.live.status()["requests"]["arrived"], before)

    def test_what_clients_send_is_tolerated(self):
        status, _, answer = self.live.ask("POST", "/v1/images/generations", {**GOOD, **TOLERATED})
        self.assertEqual(status, 200, answer)
        self.assertEqual(len(answer["data"]), 1)

    def test_several_images(self):
        one = [self.live.ask("POST", "/v1/images/generations", {**GOOD, "seed": 5})[2]["data"][0]]
        three = self.live.ask("POST", "/v1/images/generations", {**GOOD, "n": 3, "seed": 5})[2]["data"]
        self.assertEqual(len(three), 3)
        self.assertEqual(len({image["b64_json"] for image in three}), 3)
        self.assertEqual(one[0]["b64_json"], three[0]["b64_json"])

    def test_body_too_large(self):
        status, headers, answer = self.live.ask("POST", "/v1/images/generations", b" " * (2 << 20),
                                                {"X-Request-Id": "large"})
        self.expect_error(status, answer, 413)
        self.assertEqual(headers["X-Request-Id"], "large")

    def test_wrong_paths_and_methods(self):
        for method, path, body, wanted in [
                ("GET", "/nowhere", None, 404), ("GET", "/v1/requests/nobody", None, 404),
                ("GET", "/v1/images/generations", None, 405), ("POST", "/v1/models", {}, 405),
                ("DELETE", "/healthz", None, 405), ("POST", "/nowhere", {}, 404),
                ("PUT", "/v1/requests/nobody", {}, 405), ("POST", "/v1/admin/explode", {}, 404),
                ("POST", "/v1/admin/drain", {}, 400), ("POST", "/v1/admin/drain", {"instance": 77}, 400),
                ("POST", "/v1/admin/drain", {"instance": -1}, 400),
                ("POST", "/v1/admin/re-role", {"instance": 1, "stages": "nothing"}, 400),
                ("POST", "/v1/admin/re-role", {"instance": 1, "stages": 5}, 400)]:
            with self.subTest(f"{method} {path} {body}"):
                status, _, answer = self.live.ask(method, path, body)
                self.assertEqual(status, wanted, answer)
                self.assertEqual(set(answer["error"]), {"type", "message", "param"})

    def test_ctl_names_what_is_wrong(self):
        for arguments, because in [
                (["drain", "99"], "expected one of 1 to 4, got 99"),
                (["re-role", "3", "encodr"], "got \"encodr\" (did you mean 'encoder'?)"),
                (["re-role", "3", "encoder,decoder"], "expected what a pool of A10 hosts: decoder or dit or encoder"),
                (["explain", "nobody"], "there is no such request")]:
            with self.subTest(" ".join(arguments)):
                done = subprocess.run([PROGRAM, "ctl", self.live.url, *arguments], capture_output=True, text=True,
                                      timeout=60)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(because, done.stderr)
                self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1))

    def test_content_type(self):
        status, _, answer = self.live.ask("POST", "/v1/images/generations", b'{"prompt": "a"}',
                                          {"Content-Type": "text/plain"})
        self.assertEqual(status, 415, answer)

    def test_request_ids(self):
        for identifier in ["", "a b", "x" * 200, "a/b", "\xe9"]:
            with self.subTest(identifier):
                status, headers, answer = self.live.ask(
                    "POST", "/v1/images/generations", GOOD, {"X-Request-Id": identifier})
                self.assertEqual(status, 200 if identifier == "" else 400, answer)
                self.assertTrue(headers["X-Request-Id"])

    def test_foreign_host(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.live.port, timeout=10)
        connection.request("GET", "/v1/models", headers={"Host": "evil.example"})
        response = connection.getresponse()
        self.assertEqual(response.status, 403)
        self.assertTrue(response.headers["X-Request-Id"])
        connection.close()

    def raw(self, data):
        with socket.create_connection(("127.0.0.1", self.live.port), timeout=10) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            answer = b""
            while part := peer.recv(65536):
                answer += part
            return answer

    def test_broken_http(self):
        self.assertIn(b"400", self.raw(b"GARBAGE\r\n\r\n").split(b"\r\n")[0])
        self.assertIn(b"431", self.raw(b"GET / HTTP/1.1\r\nA: " + b"x" * 100000).split(b"\r\n")[0])
        self.assertEqual(b"", self.raw(b"POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\n"
                                       b"Content-Length: 100\r\n\r\n{"))
        self.assertTrue(self.live.ready())

    def test_the_rest(self):
        status, _, models = self.live.ask("GET", "/v1/models")
        self.assertEqual((status, models["data"][0]["id"]), (200, "toy"))
        self.assertEqual(self.live.ask("GET", "/healthz")[0], 200)
        status, headers, text = self.live.ask("GET", "/metrics")
        self.assertEqual(status, 200)
        for line in text.splitlines():
            self.assertTrue(line.startswith(("disagfusion_", "# HELP disagfusion_", "# TYPE disagfusion_")), line)


if __name__ == "__main__":
    unittest.main()
