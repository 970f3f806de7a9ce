"""Seeds of the fuzz targets in `decoders.py`: what well-behaved devices, clouds and routers send."""

from __future__ import annotations

from tests.fuzz.targets import inputs, json_texts

_WHEN = "ea070b17120f1e"
SEEDS: dict[str, list[bytes]] = {
    "health": [
        *inputs(0, "001027", "021027" + _WHEN, "0e8638" + _WHEN + "01" + "e600b400", "01303e", "00ffff"),
        *inputs(1, "1e7a0050005e00" + _WHEN + "4800010000", "007a0050005e00", "00ff07ff07ff07"),
        *inputs(2, "06730100ff" + _WHEN + "02", "00730100ff", "01ffffff00"),
        *inputs(3, "0048", "0148001027", "1e4810270004"),
        *inputs(5, "fe0fc800ea0709040f350001401f90015 81be02e882c401f88139 83ad606".replace(" ", "")),
        *inputs(5, "030c2c01ea0709040f35009c40be02", "0600ffffea0709040f3500ff", "0000c800"),
        *inputs(6, "11" + "3e10c800ea0709040f350001401f9001581b" + "c01fc800e02e882c401f8813983ad606"),
        *inputs(7, "06" + "0109010001000000" + "04000001000000d0" + "0a0700780500"),
        *inputs(8, "2f00"),
        *inputs(9, "02"),
        *inputs(10, "ea070b17120f1e0180 00".replace(" ", ""), "00000b17120f1e010000", "d0070101000000000000"),
        *inputs(4, "0309010001000000000001000000d00700780500", "03ff010001000000000001000000d00700780500d00700"),
    ],
    "advertisement": [
        *inputs(0, "020106" + "1107" + "00804778276463467222286268774600" + "09167746" + "020500000000"),
        *inputs(0, "020106" + "1107" + "07ed9b2d0f067c879b43436b4d247517" + "0c0950524f565f434530334330"),
        *inputs(0, "0201060aff a90b 0a a8032abe54dc".replace(" ", ""), "0b16f6ff00000ff1ff0080 00".replace(" ", "")),
        *inputs(0, "020a04" + "0308ff05" + "0520aabbccdd01"),
        *inputs(1, "043e1a020100003c00004ee41c" + "03" + "020106" + "c4", "043e0f020104013c000020e42400" + "c4"),
        *inputs(1, "043e1f0d011300013c000020e424000101ff7fc40000000000000000000003020106"),
    ],
    "envelope": inputs(
        0,
        *json_texts(
            {"status": 0, "body": {"devices": []}},
            {"status": 0, "body": {"userid": "1", "access_token": "t", "refresh_token": "r", "expires_in": 10800}},
            {"status": 601, "body": {"wait_seconds": 188}, "error": "Same arguments in less than 10 seconds"},
            {"status": 401, "body": {}, "error": "XRequestID: Not provided invalid_token"},
            {"status": 0, "body": []},
        ),
    ),
    "qr": inputs(
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
        *json_texts(
            {"ver": "v1", "name": "PROV_CE03C0", "pop": "abcd1234", "transport": "ble"},
            {"ver": "v1", "name": "PROV_1", "username": "wifiprov", "pop": "x", "security": 2, "network": "wifi"},
            {"ver": "v1", "name": "PROV_1", "transport": "softap", "password": "p"},
            {"ver": "v1", "name": "PROV_1", "network": "thread"},
        ),
    ),
    "notification": inputs(
        0,
        b"userid=40012345&appli=1&startdate=1730000000&enddate=1730000001",
        b"userid=40012345&appli=16&date=2024-10-27&foo=bar",
        b"userid=40012345&appli=46&action=unlink",
        b"userid=40012345&appli=50&date=1730000000&deviceid=9f2c",
    ),
    "label": inputs(
        0,
        b"device-installer:link/a1b2c3d4e5f6?a=0024E4123456&m=body-plus&s=wifi&t=1764000000",
        b"device-installer:link/a1b2c3d4e5f6?a=0024E412-3456-0024-E412-34560024E412&m=move&s=bluetooth",
        b"device-installer:link/a1b2?a=0024E4123456&m=move",
    ),
    "plan": [
        *inputs(
            0,
            b"device,model,count,sync,account,site,label,proof\n,Move,3,bluetooth,later,Berlin,Room 1,\n",
            b'\xef\xbb\xbfmodel;sync;account\r\n\r\n;;\r\n"Pulse HR";Bluetooth;default\r\n',
            b"sep=;\nMAC;sync\n00:24:E4:12:34:56;ble\n",
            b"model\tcount\nmove\t2,0\n# words\n",
        ),
        *inputs(
            1,
            b'version = 1\n[defaults]\nsync = "bluetooth"\n[[row]]\nmodel = "move"\ncount = 2\n',
            b'[[row]]\ndevice = "00:24:E4:12:34:56"\nsync = "bluetooth"\nproof = { env = "P" }\n',
        ),
    ],
}
