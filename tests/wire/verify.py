"""Usage: verify.py FILE (through the script `verify`, which also runs its Node counterpart)

Prints one JSON line per request and verifier: {"name", "verifier", "accepted", "detail"}.
"""

import json
import sys
from pathlib import Path

from receivers import Check, checks
from request import Request, parse_request


def read_requests(path: str) -> list[Request]:
    requests = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").split("\n"), start=1):
        if line.strip() == "":
            continue
        try:
            requests.append(parse_request(line))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
    if not requests:
        raise ValueError(f"{path} has no requests")
    return requests


def ask(run: Check) -> tuple[bool, str]:
    # Whatever a library raises, its receiver has not accepted the request.
    try:
        run()
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"
    return True, ""


def judge(requests: list[Request]) -> tuple[int, list[str]]:
    """Prints every verdict; returns how many there were and a sentence for each that is not the expected one."""
    asked, surprises = 0, []
    for request in requests:
        for verifier, run in checks(request):
            accepted, detail = ask(run)
            print(json.dumps({"name": request.name, "verifier": verifier, "accepted": accepted, "detail": detail}))
            asked += 1
            if accepted != (request.expect == "accept"):
                verdict = "accepted it" if accepted else f"refused it ({detail})"
                surprises.append(f"{request.name}: {verifier} {verdict}")
    return asked, surprises


def main(arguments: list[str]) -> int:
    try:
        [path] = arguments
        requests = read_requests(path)
    except (OSError, ValueError) as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return 2
    asked, surprises = judge(requests)
    if surprises:
        print(f"python: {len(surprises)} of {asked} checks went against what was expected", file=sys.stderr)
        for surprise in surprises:
            print(f"  {surprise}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
