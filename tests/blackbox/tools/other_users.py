"""Processes of other users, and what they see of an export."""

import json
import os
import traceback

import nbd


def as_uid(uid, action, *arguments):
    """What action(*arguments) returns (JSON can say it), carried out by a process of that user."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.write(writing, json.dumps(action(*arguments)).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)  # whatever happens: the test's own end is its parent's
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    assert os.waitpid(child, 0)[1] == 0, f"uid {uid}: {action.__name__}{arguments} failed"
    return json.loads(text)


def look(uri, **settings):
    """"rw" or "ro"; or, refused, the words of it without the export's name."""
    h = nbd.NBD()
    for name, value in settings.items():
        getattr(h, "set_" + name)(value)
    try:
        h.connect_uri(uri)
    except nbd.Error as error:
        return "refused: " + error.string.replace(h.get_export_name() or "no name", "NAME")
    mode = "ro" if h.is_read_only() else "rw"
    h.pread(512, 0)
    h.flush()
    h.shutdown()
    return mode


def names_listed(uri):
    h = nbd.NBD()
    h.set_opt_mode(True)
    h.connect_uri(uri)
    names = []
    h.opt_list(lambda name, description: names.append(name))
    h.opt_abort()
    return names
