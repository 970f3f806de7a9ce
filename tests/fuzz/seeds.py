"""Where fuzzing begins: for each decoder, what well-behaved devices, clouds and routers say (vectors of the sheets).

The first byte chooses the function of the decoder (`tests.fuzz.decoders`), in the order that they have there.
"""

from __future__ import annotations

import json
from typing import Any

from tests.installer.provisioning.espressif import vectors


def _at(number: int, *inputs: bytes | str) -> list[bytes]:
    """These inputs (bytes, or hexadecimal text) for the function of this number."""
    return [bytes([number]) + (bytes.fromhex(i) if isinstance(i, str) else i) for i in inputs]


def _json(*values: Any) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


_WHEN = "ea070b17120f1e"
_FINAL = (
    "01010100680123001514c471073f3d8c79df68d53fed8ab7c006bc6cf0b7010100460000000005426f64792b"
    "1130303a32343a65343a30303a30303a3031103031323334353637383961626364656600ffffff083030303030303031"
    "00000005000004d200ffffff012c000100"
)
_CHALLENGE = "0101280027012200231130303a32343a65343a30303a30303a303110000102030405060708090a0b0c0d0e0f"
_BATTERY = "010504000e0504000a470200000f0100000000"
_NOT_AUTHENTICATED = "010100000a011000060102fffffffb"
_WITHINGS = (_FINAL, _CHALLENGE, _BATTERY, _NOT_AUTHENTICATED, "0101010000", "014101000401000000")
_WIFI_INFO = "0a04486f6d65" + "120602aabbccdd01" + "1801" + "200b" + "2803"
_DEVICE_STATUS = "0804" + "5214" + _WIFI_INFO + "5a06" + "0a04c0a80132"

SEEDS: dict[str, list[bytes]] = {
    "improv": [
        # Frames: results of the Wi-Fi command, of device info, of a scan, of a host name.
        *_at(
            0,
            "010001",
            "011413687474703a2f2f3139322e3136382e312e3530db",
            "032f07455350486f6d6509323032312e31312e300845535033322d43331354656d7065726174757265204d6f6e69746f7207",
            "043f114d79576972656c6573734e6574776f726b032d36300457504132164d794f74686572576972656c6573734e6574776f726b"
            "032d3532085750412f57504132ec",
            "040004",
            "050c0b6c6976696e672d726f6f6d8f",
        ),
        *_at(1, "01", "02", "03", "04", "00"),
        *_at(2, "00", "01", "03", "ff"),
        *_at(3, "07", "0f", "ff00"),
        *_at(4, "020500000000", "0400", "02050000000000"),
        *_at(5, "13687474703a2f2f3139322e3136382e312e3530", "00", ""),
        *_at(6, "07455350486f6d6509323032312e31312e300845535033322d43330353636105485041544f"),
        *_at(7, "114d79576972656c6573734e6574776f726b032d363004575041320443616665032d35300454455354"),
        *_at(7, b"\x04Cafe\x03-50\x02NO\x04Corp\x03-70\x08WPA2 EAP"),
        *_at(8, b"\x08hi there\x04jojo"),
    ],
    "espressif": [
        *_at(
            0,
            b'{\n\t"prov":\t{\n\t\t"ver":\t"netprov-v1.2",\n\t\t"sec_ver":\t2,\n\t\t"sec_patch_ver":\t1,\n'
            b'\t\t"cap":\t["wifi_prov", "wifi_scan"]\n\t},\n\t"app":\t{"ver":"2.0", "cap":["x"]}\n}',
            b'{"prov":{"ver":"v1.1","cap":["no_pop","wifi_scan"]}}',
            b"V0.1",
        ),
        *_at(1, "08015a00"),
        *_at(2, "08036a0408011001", "08036a00"),
        *_at(3, vectors.ENTRY),
        *_at(4, "08036a00", "08036a020804"),
        *_at(5, "08057a00"),
        *_at(6, vectors.CONNECTED, "08015a021001", "08015a0410035000", "08015a0410035001", "08015a06100162020802"),
        *_at(7, "08026200"),
        *_at(8, "08047200"),
    ],
    "espressif-session": [
        *_at(0, "52050801aa0100"),
        *_at(1, vectors.RESP0),
        *_at(2, vectors.RESP1),
        *_at(3, vectors.SET_CONFIG_ANSWER_1, bytes(40)),
        *_at(4, vectors.s2_resp0(), vectors.s2_resp0(salt=b"s"), vectors.s2_resp0(public=b"\x05")),
        *_at(5, vectors.S2_RESP1),
        *_at(6, vectors.SET_CONFIG_ANSWER_2_PATCH_1),
    ],
    "shelly": [
        *_at(
            0,
            *_json(
                {
                    "id": 1,
                    "src": "shellyplus1-a8032abe54dc",
                    "result": {
                        "name": None,
                        "id": "shellyplus1-a8032abe54dc",
                        "mac": "A8032ABE54DC",
                        "model": "SNSW-001X16EU",
                        "gen": 2,
                        "ver": "1.4.4",
                        "app": "Plus1",
                        "auth_en": False,
                    },
                },
                {
                    "id": 2,
                    "result": {
                        "results": [
                            {"ssid": "Home", "bssid": "00:11:22:33:44:55", "auth": 3, "channel": 6, "rssi": -55},
                            {"ssid": None, "bssid": "x", "auth": 99, "channel": 36},
                        ]
                    },
                },
                {"id": 3, "result": {"sta_ip": "192.168.1.50", "status": "got ip", "ssid": "Home", "rssi": -50}},
                {"id": 3, "result": {"sta_ip": None, "status": "connecting", "ssid": None, "rssi": 0}},
                {"id": 4, "result": {"restart_required": True}},
                {"id": 5, "error": {"code": 401, "message": '{"auth_type": "digest"}'}},
                {"method": "NotifyStatus", "params": {"ts": 1.5}},
            ),
        ),
        *_at(1, "00000064", "0000ffff", "00000000"),
    ],
    "nordic": [
        *_at(0, "0801"),
        # An access point, and the states of a join.
        *_at(1, "0a" + "21" + "0a14" + _WIFI_INFO + "10c9ffffffffffffffff01", "1001", "1004", "10051800", "10051802"),
        *_at(2, "08011000" + "5220" + _DEVICE_STATUS, "080110005200"),
        *_at(3, "08021000", "08021003"),
        *_at(4, "08031000"),
        *_at(5, "08041000", "08041001", "1002"),
        *_at(6, "08051000"),
    ],
    "withings": _at(0, *_WITHINGS),
    # Whole messages in one piece, in pieces of 20 bytes, and several of them at once.
    "withings-assembler": [
        *(
            _at(size, *_WITHINGS, _BATTERY + _CHALLENGE + _NOT_AUTHENTICATED)[i]
            for size in (39, 19, 0)
            for i in range(7)
        )
    ],
    "health": [
        *_at(0, "001027", "021027" + _WHEN, "0e8638" + _WHEN + "01" + "e600b400", "01303e", "00ffff"),
        *_at(1, "1e7a0050005e00" + _WHEN + "4800010000", "007a0050005e00", "00ff07ff07ff07"),
        *_at(2, "06730100ff" + _WHEN + "02", "00730100ff", "01ffffff00"),
        *_at(3, "0048", "0148001027", "1e4810270004"),
        *_at(5, "fe0fc800ea0709040f350001401f90015 81be02e882c401f88139 83ad606".replace(" ", "")),
        *_at(5, "030c2c01ea0709040f35009c40be02", "0600ffffea0709040f3500ff", "0000c800"),
        *_at(6, "11" + "3e10c800ea0709040f350001401f9001581b" + "c01fc800e02e882c401f8813983ad606"),
        *_at(7, "06" + "0109010001000000" + "04000001000000d0" + "0a0700780500"),
        *_at(8, "2f00"),
        *_at(9, "02"),
        *_at(10, "ea070b17120f1e0180 00".replace(" ", ""), "00000b17120f1e010000", "d0070101000000000000"),
        *_at(4, "0309010001000000000001000000d00700780500", "03ff010001000000000001000000d00700780500d00700"),
    ],
    "advertisement": [
        *_at(0, "020106" + "1107" + "00804778276463467222286268774600" + "09167746" + "020500000000"),
        *_at(0, "020106" + "1107" + "07ed9b2d0f067c879b43436b4d247517" + "0c0950524f565f434530334330"),
        *_at(0, "0201060aff a90b 0a a8032abe54dc".replace(" ", ""), "0b16f6ff00000ff1ff0080 00".replace(" ", "")),
        *_at(0, "020a04" + "0308ff05" + "0520aabbccdd01"),
        *_at(1, "043e1a020100003c00004ee41c" + "03" + "020106" + "c4", "043e0f020104013c000020e42400" + "c4"),
        *_at(1, "043e1f0d011300013c000020e424000101ff7fc40000000000000000000003020106"),
    ],
    "envelope": _at(
        0,
        *_json(
            {"status": 0, "body": {"devices": []}},
            {"status": 0, "body": {"userid": "1", "access_token": "t", "refresh_token": "r", "expires_in": 10800}},
            {"status": 601, "body": {"wait_seconds": 188}, "error": "Same arguments in less than 10 seconds"},
            {"status": 401, "body": {}, "error": "XRequestID: Not provided invalid_token"},
            {"status": 0, "body": []},
        ),
    ),
    "qr": _at(
        0,
        rb"WIFI:T:WPA;S:My\;Net;P:a\\b\:c;H:true;;",
        b"WIFI:T:WPA;R:1;S:Home%3BNet;P:secret123;;",
        b"WIFI:S:Cafe;;",
        b'WIFI:S:"0123";P:"abcdefgh";T:SAE;;',
        b"WIFI:T:WPA;S:A%20B;P:100%25sure;;",
        b"WIFI:T:WPA2-EAP;S:Corp;E:PEAP;PH2:MSCHAPV2;I:me;;",
        b"WIFI:T:WEP;S:Old;P:12345;;",
        b"DPP:C:81/1,115/36;M:001122334455;I:SN=4774LH2b4044;V:2;K:MDkwEwYHKoZIzj0CAQ==;;",
        b"MT:Y.K9042C00KA0648G00",
        b"https://www.withings.com/start",
        b"http://example.org/?x=1",
        *_json(
            {"ver": "v1", "name": "PROV_CE03C0", "pop": "abcd1234", "transport": "ble"},
            {"ver": "v1", "name": "PROV_1", "username": "wifiprov", "pop": "x", "security": 2, "network": "wifi"},
            {"ver": "v1", "name": "PROV_1", "transport": "softap", "password": "p"},
            {"ver": "v1", "name": "PROV_1", "network": "thread"},
        ),
    ),
    "notification": _at(
        0,
        b"userid=40012345&appli=1&startdate=1730000000&enddate=1730000001",
        b"userid=40012345&appli=16&date=2024-10-27&foo=bar",
        b"userid=40012345&appli=46&action=unlink",
        b"userid=40012345&appli=50&date=1730000000&deviceid=9f2c",
    ),
    "label": _at(
        0,
        b"device-installer:link/a1b2c3d4e5f6?a=0024E4123456&m=body-plus&s=wifi&t=1764000000",
        b"device-installer:link/a1b2c3d4e5f6?a=0024E412-3456-0024-E412-34560024E412&m=move&s=bluetooth",
        b"device-installer:link/a1b2?a=0024E4123456&m=move",
    ),
    "plan": [
        *_at(
            0,
            b"device,model,count,sync,account,site,label,proof\n,Move,3,bluetooth,later,Berlin,Room 1,\n",
            b'\xef\xbb\xbfmodel;sync;account\r\n\r\n;;\r\n"Pulse HR";Bluetooth;default\r\n',
            b"sep=;\nMAC;sync\n00:24:E4:12:34:56;ble\n",
            b"model\tcount\nmove\t2,0\n# words\n",
        ),
        *_at(
            1,
            b'version = 1\n[defaults]\nsync = "bluetooth"\n[[row]]\nmodel = "move"\ncount = 2\n',
            b'[[row]]\ndevice = "00:24:E4:12:34:56"\nsync = "bluetooth"\nproof = { env = "P" }\n',
        ),
    ],
}
