#!/usr/bin/python3 -B
"""The device under the store stops answering for some seconds: requests wait, what needs no device is answered,
no error is made of it, and afterwards all goes on. A device that dies is an error to guest and commands; what
was flushed is there on the next one."""

import os
import signal
import subprocess
import time

import functions as f
from functions import MIB, nbd
from tools.block_load import Load
from tools.block_model import BlockModel
from tools.forgetful_disk import Machine, requires_machine

SIZE = 8 * MIB
HANGS = (0.3, 2)  # seconds


def hang(machine, model, server):
    load = Load(server.export("web"), model, 3)
    time.sleep(0.3)
    for seconds in HANGS:
        machine.server.process.send_signal(signal.SIGSTOP)
        command = subprocess.Popen([f.CASDISK, "checkpoint", "web", f"hung-{seconds}", "--wait"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(seconds)
        assert not load.errors, load.errors
        machine.server.process.send_signal(signal.SIGCONT)
        said = command.communicate(timeout=60)[1]
        assert command.returncode == 0, said
    before = load.done_count
    f.wait_until(20, lambda: load.done_count > before + 20, "requests go on")
    load.stop()
    assert not load.errors, load.errors
    complaints, _ = model.judge(read(server), power_failed=False)
    assert not complaints, complaints[:5]


def read(server):
    client = f.connected(server.export("web"))
    content = f.read_all(client)
    client.shutdown()
    return content


def die(machine, model, server):
    """kill -9 of the device's server: all that it had not been made to keep is gone with it."""
    load = Load(server.export("web"), model, 4)
    time.sleep(0.7)
    machine.server.kill()
    client = f.connected(server.export("web"))
    began = time.monotonic()
    failed = None
    while failed is None and time.monotonic() < began + 60:
        try:
            client.pwrite(b"z" * 100, SIZE - 100)
            client.flush()
        except nbd.Error as error:
            failed = error
    assert failed is not None and failed.errno in ("EIO", "EPERM", None), f"a flush without a device: {failed}"
    done = subprocess.run([f.CASDISK, "checkpoint", "web", "dead"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0, "a checkpoint without a device"
    server.kill()
    load.stop()


def test():
    requires_machine("ext4")
    machine = Machine("device", "ext4", 256 * MIB)
    machine.up()
    os.environ["CASDISK_STORE"] = f"{machine.path}/store"
    f.casdisk("init")
    f.casdisk("create", "web", "--size", SIZE)
    model = BlockModel(bytes(SIZE))
    server = f.Nbdkit()
    hang(machine, model, server)
    client = f.connected(server.export("web"))
    client.flush()
    model.reset(f.read_all(client))
    client.shutdown()
    die(machine, model, server)
    machine.off()
    machine.up()
    server = f.Nbdkit()
    # The one block that `die` wrote itself may hold what it wrote.
    content = read(server)
    last = (SIZE - 1) // f.BLOCK * f.BLOCK
    complaints, _ = model.judge(content[:last] + bytes(model.content[last:]))
    assert not complaints, complaints[:5]
    f.casdisk("checkpoint", "web", "alive", "--wait")
    server.stop()


test()
