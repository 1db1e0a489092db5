"""The whole path in one go: build the models, serve them, paint the cat, stop.

    python examples/demo.py

The painters are the two graphs that OneFlow saved; nothing of OneFlow is needed. Leaves ``result_256.jpg``
and ``result.jpg`` (1024 pixels wide) in the current directory. Exit code 0 means that every step worked, the
server's clean exit among them.
"""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
REPOSITORY = EXAMPLES / "model_repository"
CLIENT = EXAMPLES / "fast_neural_style" / "client.py"
CAT = EXAMPLES / "fast_neural_style" / "cat.jpg"
MODELS = [REPOSITORY / name / "1" / "model.onnx" for name in ("multi_style", "fast_neural_style_onnx")]
PAINTINGS = {"fast_neural_style": "result_256.jpg", "fast_neural_style_1024": "result.jpg"}  # by model
START_SECONDS, STOP_SECONDS, POLL_SECONDS = 60.0, 30.0, 0.05


class DemoError(Exception):
    """A step that did not work; the text says which."""


def main() -> int:
    """The command line; 0 if every step worked."""
    parser = argparse.ArgumentParser(description="Serve the example models and paint a cat.")
    parser.parse_args()
    begin = time.perf_counter()
    try:
        if not all(path.is_file() for path in (*MODELS, CAT)):
            step("building the example models")
            run(EXAMPLES / "build_repository.py")
        serve_and_paint()
    except DemoError as error:
        print(f"the demonstration failed: {error}", file=sys.stderr)
        return 1
    step(f"done in {time.perf_counter() - begin:.1f} s; look at {' and '.join(PAINTINGS.values())}")
    return 0


def serve_and_paint() -> None:
    """Start a server of our own, have the cat painted, and stop the server whatever happens."""
    port = free_port()
    command = [tritium(), "serve", "--model-repository", str(REPOSITORY)]
    command += ["--http-port", str(port), "--no-grpc"]
    with tempfile.TemporaryFile("w+") as log:
        step(f"starting: tritium {' '.join(command[1:])}")
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            step(f"ready after {wait_until_ready(server, port):.1f} s")
            for model, painting in PAINTINGS.items():
                step(f"painting the cat by {model}, which OneFlow saved, to {painting}")
                run(CLIENT, "--url", f"localhost:{port}", "--image", str(CAT), "--model", model,
                    "--output", painting)  # fmt: skip
            step(f"stopped after {stop(server):.1f} s with exit code 0")
        except DemoError as error:
            server.kill()
            server.wait()
            log.seek(0)
            raise DemoError(f"{error}\nthe server said:\n{log.read()[-4000:]}") from error
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()


def tritium() -> str:
    """The command beside this interpreter."""
    command = Path(sys.executable).with_name("tritium")
    if not command.exists():
        raise DemoError(f"{command} does not exist; install the package here: pip install -e '.[demo]'")
    return str(command)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> float:
    """Seconds until the server says that it and its models are ready."""
    start = time.perf_counter()
    while time.perf_counter() - start < START_SECONDS:
        if server.poll() is not None:
            raise DemoError(f"the server ended with exit code {server.returncode} before it was ready")
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/v2/health/ready", timeout=5):
                return time.perf_counter() - start
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_SECONDS)
    raise DemoError(f"the server was not ready after {START_SECONDS:.0f} s")


def stop(server: subprocess.Popen[bytes]) -> float:
    """Seconds that the server took to end after SIGTERM; it must end well."""
    start = time.perf_counter()
    server.send_signal(signal.SIGTERM)
    try:
        code = server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"the server did not stop within {STOP_SECONDS:.0f} s of SIGTERM") from error
    if code != 0:
        raise DemoError(f"the server ended with exit code {code} after SIGTERM, and 0 was expected")
    return time.perf_counter() - start


def run(script: Path, *arguments: str) -> None:
    """Run a script with this interpreter; its output is the user's."""
    if subprocess.run([sys.executable, str(script), *arguments], check=False).returncode != 0:
        raise DemoError(f"{script.relative_to(EXAMPLES)} failed")


def step(what: str) -> None:
    """Tell the user, before the output of anything that is started next."""
    print(what, flush=True)


if __name__ == "__main__":
    sys.exit(main())
