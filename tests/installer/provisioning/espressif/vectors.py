"""The test vectors of `facts/esp-provisioning.md` §10, as bytes."""

from __future__ import annotations

CLIENT_PRIVATE = bytes(range(0x01, 0x21))
DEVICE_RANDOM = bytes(range(16))
POP = "abcd1234"

CLIENT_PUBLIC = bytes.fromhex("07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c")
CMD0 = bytes.fromhex("10015a25a201220a20") + CLIENT_PUBLIC
RESP0 = bytes.fromhex(
    "10015a390801aa013412205869aff450549732cbaaed5e5df9b30a6da31cb0e5742bad5ad4a1a768f1a67b"
    "1a10000102030405060708090a0b0c0d0e0f"
)
CMD1 = bytes.fromhex("10015a270802b201221220ce6096fef8de28d2e24098904ad16b30483db15d1e6ba6f936881e45aa043493")
RESP1 = bytes.fromhex("10015a270803ba01221a208e887a715e350c6b2c04edef13efe19b88e36f379279a204989b964bc27d738d")

SET_CONFIG = bytes.fromhex("080262140a07486f6d654e65741209736563726574313233")
SET_CONFIG_1 = bytes.fromhex("6731132f52474175bd98dbbb4b02eefe893e1c73ff127870")
SET_CONFIG_ANSWER = bytes.fromhex("08036a00")
SET_CONFIG_ANSWER_1 = bytes.fromhex("36921953")
APPLY = bytes.fromhex("0804")
APPLY_1 = bytes.fromhex("d4d2")
APPLY_ANSWER = bytes.fromhex("08057a00")
APPLY_ANSWER_1 = bytes.fromhex("145470f5")

USERNAME = "wifiprov"
PASSWORD = "abcd1234"
SALT = bytes.fromhex("036ee0c7bcb9eda84c9eac97d93decf4")
A_PRIVATE = int.from_bytes(b"\x80" + b"\x11" * 31, "big")
B_PRIVATE = int.from_bytes(b"\x80" + b"\x22" * 31, "big")
N_SHA256 = "48cf8b092fbce4359d9871abf74f98e25b6163379eaa15cd9087e800c6d1c55c"
V_SHA256 = "e985f1fb10e7c5aaf625ec7cc0896e8f92bdcd5b621141766ea6ea93bd899b06"
X = int(
    "869b97a7399bdc2e9e2943dbf1f5347a10108ea60e278cafb5849aa0c14f6b73"
    "5aa186d260e779838af03d4393961086dabe3321c01c58672f186b698f83314a",
    16,
)
K_MULTIPLIER = int(
    "a9c2e2559bf0ebb53f0cbbf62282906bede7f2182f00678211fbd5bde5b28503"
    "3a4993503b87397f9be5ec02080fedbc0835587ad039060879b8621e8c3659e0",
    16,
)
U = int(
    "a6675ae5edb319170e2163d8d2177b118475f29ff9b68962e83ef30282e66761"
    "73abc9f487a9d5e4473ae73c1dac58a120e791c99942872135694dec8bd85ca6",
    16,
)
SESSION_KEY = bytes.fromhex(
    "5c85460a4a83094be14d100999721b46b22c0da169339588642c288a6f2aee92"
    "d8d0f7850e411c26dce090429509dc807b7fcbaee152138e2a223c28c564b3ec"
)
M1 = bytes.fromhex(
    "1c5b27ccaf2c16708e783ab1230f0707fdf39f9593d37dfeb30d2dad66d93073"
    "5eb2ccb4f8f29dfc9a383ddf8228d66b7fe5b6f01167a0d46831e4c82ecd340f"
)
M2 = bytes.fromhex(
    "722320e58c3a1d94a79ded2b7cb3717b0e89364fd1679d02c7f1ae9db994ef5b"
    "ee5ee11d30913659be2a626ad622560022a7ea28180f7e57f6bbbd051846c040"
)
NONCE = bytes.fromhex("000102030405060700000001")
S2_CMD0_START = bytes.fromhex("1002629103a2018d030a087769666970726f76128003")
S2_RESP0_START = bytes.fromhex("1002629b030801aa019503128003")
S2_CMD1 = bytes.fromhex("100262470802b201420a40") + M1
S2_B_SHA256 = "99d2b071947aa7dea40153cb488e18b21ef6b13550ea6ca322b4e32b9490d5aa"
S2_RESP1 = bytes.fromhex("100262550803ba01501240") + M2 + b"\x1a\x0c" + NONCE
SET_CONFIG_2 = bytes.fromhex("68329fec0b603b7a6f730b4d3b424004d62e4f642a2819cb22357231f7eeac89340ad149dc9bee9f")
SET_CONFIG_ANSWER_2_PATCH_1 = bytes.fromhex("31e709510abab9efe1a9e264ab03b5c4a727039b")
SET_CONFIG_ANSWER_2_PATCH_0 = bytes.fromhex("683397f88d35660800fa82a8dad441f52799e77d")

ENTRY = bytes.fromhex("08057a220a200a07486f6d654e6574100618c9ffffffffffffffff0122060011223344552803")
CONNECTED = bytes.fromhex("08015a255a230a0c3139322e3136382e312e353010031a07486f6d654e657422060011223344552806")


def s2_resp0(public: bytes | None = None, salt: bytes = SALT) -> bytes:
    """The first response of security 2, with the B of the sheet."""
    from installer.provisioning.espressif import srp

    if public is None:
        verifier = pow(srp.G, X, srp.N)
        public = srp.pad((srp.K * verifier + pow(srp.G, B_PRIVATE, srp.N)) % srp.N)
    return S2_RESP0_START + public + b"\x1a" + bytes([len(salt)]) + salt
