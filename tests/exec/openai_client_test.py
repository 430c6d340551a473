"""The OpenAI client against our server. Skipped (77) where the `openai` package is not there."""

import base64
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from live import Live, scenario  # noqa: E402

try:
    import openai
except ImportError:
    print("skipped: no openai package")
    sys.exit(77)


class OpenAiTest(unittest.TestCase):
    def client(self, live, **options):
        return openai.OpenAI(base_url=live.url + "/v1", api_key="none", timeout=60, **options)

    def test_images(self):
        with Live() as live:
            client = self.client(live)
            answer = client.images.generate(
                model="toy", prompt="a red sneaker", n=2, size="64x64", response_format="b64_json",
                extra_body={"seed": 7, "steps": 4})
            self.assertEqual(len(answer.data), 2)
            for image in answer.data:
                self.assertEqual(base64.b64decode(image.b64_json)[:8], b"\x89PNG\r\n\x1a\n")
            again = client.images.generate(model="toy", prompt="a red sneaker", n=2, size="64x64",
                                           extra_body={"seed": 7, "steps": 4})
            self.assertEqual([i.b64_json for i in answer.data], [i.b64_json for i in again.data])
            other = client.images.generate(model="toy", prompt="a red sneaker", n=1, size="64x64",
                                           user="me", quality="high", extra_body={"seed": 8})
            self.assertNotEqual(answer.data[0].b64_json, other.data[0].b64_json)

    def test_models(self):
        with Live() as live:
            self.assertEqual([m.id for m in self.client(live).models.list()], ["toy"])

    def test_errors(self):
        with Live() as live:
            client = self.client(live, max_retries=0)
            with self.assertRaises(openai.BadRequestError) as caught:
                client.images.generate(model="nobody", prompt="a red sneaker")
            self.assertEqual(caught.exception.param, "model")
            self.assertTrue(caught.exception.request_id)

    def test_rejected(self):
        with Live(scenario(encoder=0.5, policy="admission: {name: bounded, waiting: 1}")) as live:
            live.send_in_background({f"r{i}": i for i in range(12)})
            live.wait_for(lambda: live.status()["requests"]["arrived"] == 12, 10)
            with self.assertRaises(openai.RateLimitError):
                self.client(live, max_retries=0).images.generate(model="toy", prompt="a red sneaker")
            # Its own retries come through in the end.
            self.client(live, max_retries=10).images.generate(model="toy", prompt="a red sneaker")


if __name__ == "__main__":
    unittest.main()
