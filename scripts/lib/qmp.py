#!/usr/bin/env python3
"""Asks a QEMU or its guest agent: qmp.py [--agent] SOCKET COMMAND [JSON-ARGUMENTS]

Prints what the command returned, as JSON. Exit status 1 when it was refused, 3 when nobody answers
within 30 s (CASDISK_QMP_SECONDS).
"""

import json
import os
import socket
import sys


class Refused(Exception):
    pass


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(float(os.environ.get("CASDISK_QMP_SECONDS", "30")))
        self.socket.connect(path)
        self.lines = self.socket.makefile("rb")

    def receive(self):
        """The next answer; events are nothing we asked for."""
        while True:
            line = self.lines.readline()
            if not line:
                raise ConnectionError("the connection was closed")
            answer = json.loads(line.lstrip(b"\xff"))
            if "event" not in answer:
                return answer

    def ask(self, command, arguments=None, before=b""):
        request = {"execute": command}
        if arguments is not None:
            request["arguments"] = arguments
        self.socket.sendall(before + json.dumps(request).encode() + b"\n")
        return self.receive()


def result(answer):
    if "error" in answer:
        raise Refused(answer["error"].get("desc", answer["error"]))
    return answer["return"]


def greet(connection, is_agent):
    if not is_agent:
        connection.receive()
        result(connection.ask("qmp_capabilities"))
        return
    # The agent's line may hold what somebody left behind: 0xff ends that, and our number is ours.
    number = os.getpid()
    answer = connection.ask("guest-sync-delimited", {"id": number}, b"\xff")
    while answer.get("return") != number:
        answer = connection.receive()


def main(words):
    is_agent = words[:1] == ["--agent"]
    words = words[is_agent:]
    if not 2 <= len(words) <= 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        connection = Connection(words[0])
        greet(connection, is_agent)
        print(json.dumps(result(connection.ask(words[1], *map(json.loads, words[2:])))))
        return 0
    except Refused as refusal:
        print(f"{words[0]}: {words[1]}: {refusal}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as failure:
        print(f"{words[0]}: {words[1]}: {failure}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
