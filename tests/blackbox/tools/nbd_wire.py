"""NBD as bytes on a socket: a client that may send anything, right or wrong, and see what comes back.

libnbd refuses to send most of what a server must survive; this does not. Numbers are those of the NBD
protocol's specification. Nothing here waits longer than TIMEOUT.
"""

import socket
import struct

TIMEOUT = 20

NBDMAGIC, IHAVEOPT, REPLY_MAGIC = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
REQUEST, SIMPLE_REPLY, STRUCTURED_REPLY = 0x25609513, 0x67446698, 0x668E33EF
C_FIXED_NEWSTYLE, C_NO_ZEROES = 1, 2

(OPT_EXPORT_NAME, OPT_ABORT, OPT_LIST, OPT_PEEK, OPT_STARTTLS, OPT_INFO, OPT_GO, OPT_STRUCTURED_REPLY,
 OPT_LIST_META_CONTEXT, OPT_SET_META_CONTEXT, OPT_EXTENDED_HEADERS) = range(1, 12)
REP_ACK, REP_SERVER, REP_INFO, REP_META_CONTEXT = 1, 2, 3, 4
REP_ERROR = 1 << 31  # and above

READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO = 1, 2, 4, 8, 16

DATA_CHUNK, HOLE_CHUNK, STATUS_CHUNK, ERROR_CHUNK = 1, 2, 5, 1 << 15


class Closed(Exception):
    """The server has ended the connection."""


class Reply:
    """Of one request: `error` (0: none), `data` of a read, `extents` [(length, flags)] of block status."""

    def __init__(self, handle):
        self.handle, self.error, self.data, self.extents = handle, 0, None, []


class Wire:
    """A connection. Wire(path) has read the greeting and not yet answered."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT)
        self.socket.connect(path)
        self.size, self.flags, self.structured = None, 0, False
        self.asked = {}  # by handle: (command, offset, length) of reads and block status
        try:
            magic, option_magic, _ = struct.unpack(">8s8sH", self.receive(18))
        except Closed:
            self.close()
            raise
        assert (magic, option_magic) == (NBDMAGIC, IHAVEOPT)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def receive(self, count):
        parts = []
        while count:
            try:
                part = self.socket.recv(min(count, 1 << 20))
            except ConnectionResetError as error:
                raise Closed from error
            if not part:
                raise Closed
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def is_closed(self):
        """Waits for the server to end the connection, whatever it says before."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass
        return True  # or TimeoutError was raised

    # --- Handshake ------------------------------------------------------------------------------

    def answer_greeting(self, flags=C_FIXED_NEWSTYLE | C_NO_ZEROES):
        self.send(struct.pack(">I", flags))

    def option(self, option, data=b"", length=None):
        """Sends an option that says it has `length` bytes, right or wrong."""
        self.send(IHAVEOPT + struct.pack(">II", option, len(data) if length is None else length) + data)

    def option_replies(self, option):
        """[(type, data)] up to the one that ends the answer: an acknowledgement or an error."""
        replies = []
        while not replies or replies[-1][0] not in (REP_ACK,) and replies[-1][0] < REP_ERROR:
            magic, about, kind, length = struct.unpack(">QIII", self.receive(20))
            assert magic == REPLY_MAGIC and about == option, (hex(magic), about, option)
            assert length <= 1 << 20, length
            replies.append((kind, self.receive(length)))
        return replies

    def ask(self, option, data=b"", length=None):
        """The answer's last reply type."""
        self.option(option, data, length)
        return self.option_replies(option)[-1][0]

    def go(self, name="", structured=True, contexts=("base:allocation",)):
        """From the greeting to where requests are served."""
        self.answer_greeting()
        if structured:
            self.structured = self.ask(OPT_STRUCTURED_REPLY) == REP_ACK
            assert self.structured
            if contexts:
                assert self.ask(OPT_SET_META_CONTEXT, meta_query(name, *contexts)) == REP_ACK
        self.option(OPT_GO, go_data(name))
        replies = self.option_replies(OPT_GO)
        assert replies[-1][0] == REP_ACK, replies[-1]
        for kind, data in replies:
            if kind == REP_INFO and data[:2] == b"\0\0":
                self.size, self.flags = struct.unpack(">QH", data[2:])
        return self

    # --- Requests -------------------------------------------------------------------------------

    def request(self, command, offset=0, length=0, flags=0, handle=0, data=b"", magic=REQUEST):
        if command in (READ, BLOCK_STATUS):
            self.asked[handle] = (command, offset, length)
        self.send(struct.pack(">IHHQQI", magic, flags, command, handle, offset, length) + data)

    def reply(self):
        """The next whole reply, whoever it is for."""
        magic, = struct.unpack(">I", self.receive(4))
        if magic == SIMPLE_REPLY:
            error, handle = struct.unpack(">IQ", self.receive(12))
            reply = Reply(handle)
            reply.error = error
            command, _, length = self.asked.pop(handle, (None, 0, 0))
            if command == READ and not error:
                assert not self.structured, "a read is answered in chunks"
                reply.data = self.receive(length)
            return reply
        assert magic == STRUCTURED_REPLY and self.structured, hex(magic)
        reply, done = None, False
        while not done:
            if reply is not None:
                magic, = struct.unpack(">I", self.receive(4))
                assert magic == STRUCTURED_REPLY
            flags, kind, handle, length = struct.unpack(">HHQI", self.receive(16))
            assert length <= (64 << 20) + 8, length
            reply = reply or Reply(handle)
            assert reply.handle == handle, "nbdkit does not mix the chunks of replies"
            self._chunk(reply, kind, self.receive(length))
            done = flags & 1
        if handle in self.asked and reply.data is not None:
            assert len(reply.data) == self.asked[handle][2]
        self.asked.pop(handle, None)
        return reply

    def _chunk(self, reply, kind, payload):
        command, offset, length = self.asked.get(reply.handle, (None, 0, 0))
        if kind & ERROR_CHUNK:
            reply.error, = struct.unpack(">I", payload[:4])
            assert reply.error
        elif kind in (DATA_CHUNK, HOLE_CHUNK):
            at, = struct.unpack(">Q", payload[:8])
            part = payload[8:] if kind == DATA_CHUNK else bytes(struct.unpack(">I", payload[8:])[0])
            assert command == READ and offset <= at and at + len(part) <= offset + length
            reply.data = reply.data or bytearray(length)
            reply.data[at - offset:at - offset + len(part)] = part
        elif kind == STATUS_CHUNK:
            assert command == BLOCK_STATUS and len(payload) % 8 == 4
            reply.extents = [struct.unpack(">II", payload[i:i + 8]) for i in range(4, len(payload), 8)]
        else:
            assert kind == 0 and not payload, kind

    def call(self, command, offset=0, length=0, flags=0, data=b"", handle=0x1234):
        self.request(command, offset, length, flags, handle, data)
        reply = self.reply()
        assert reply.handle == handle
        return reply


def go_data(name, *informations):
    name = name if isinstance(name, bytes) else name.encode()
    return (struct.pack(">I", len(name)) + name + struct.pack(">H", len(informations)) +
            b"".join(struct.pack(">H", one) for one in informations))


def meta_query(name, *contexts):
    name = name if isinstance(name, bytes) else name.encode()
    contexts = [one if isinstance(one, bytes) else one.encode() for one in contexts]
    return (struct.pack(">I", len(name)) + name + struct.pack(">I", len(contexts)) +
            b"".join(struct.pack(">I", len(one)) + one for one in contexts))


def connected(path, name="", **options):
    return Wire(path).go(name, **options)
