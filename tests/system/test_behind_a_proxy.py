"""Behind proxies that others wrote: microsocks, and Squid, which inspects HTTPS. curl judges what is trusted."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trustme

from tests.installer.cloud.world import free_port
from tests.proxies import ENVIRONMENT, HOST, HttpsServer, listening, save_certificate, server_context

# An address of this computer for which a proxy is asked.
ADDRESS = "0.0.0.0"
PROGRAM = [sys.executable, "-c", "from installer.cli.main import main; main()"]
NO_ADAPTER = ["--adapter", "hci:tcp-client:127.0.0.1:9"]
SECONDS = 30.0
SQUID = """
http_port 127.0.0.1:{port} ssl-bump tls-cert={folder}/inspector.pem generate-host-certificates=on
sslcrtd_program /usr/lib/squid/security_file_certgen -s {folder}/certificates -M 4MB
tls_outgoing_options cafile={folder}/root.pem
acl begin at_step SslBump1
ssl_bump peek begin
ssl_bump bump all
http_access allow all
cache deny all
access_log none
cache_log {folder}/squid.log
pid_filename {folder}/squid.pid
coredump_dir {folder}
hosts_file {folder}/hosts
shutdown_lifetime 1 second
"""


@asynccontextmanager
async def running(port: int, *command: str) -> AsyncIterator[None]:
    """A server process, from the moment when it listens."""
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                assert process.returncode is None, f"{command[0]} has ended"
                try:
                    _reader, writer = await asyncio.open_connection("127.0.0.1", port)
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                break
        yield
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), SECONDS)


def prepare_squid(folder: Path, port: int) -> Path:
    """Write Squid's files; the certificate of its own authority."""
    folder.chmod(0o777)
    for above in folder.parents[:3]:
        above.chmod(0o755)  # Squid gives up root
    inspector = trustme.CA(organization_name="Acme Inspection")
    pem = folder / "inspector.pem"
    pem.write_bytes(inspector.cert_pem.bytes() + inspector.private_key_pem.bytes())
    subprocess.run(
        ["/usr/lib/squid/security_file_certgen", "-c", "-s", folder / "certificates", "-M", "4MB"],
        check=True,
        capture_output=True,
    )
    for path in (pem, folder / "certificates", *(folder / "certificates").rglob("*")):
        path.chmod(0o777)
    (folder / "squid.conf").write_text(SQUID.format(port=port, folder=folder))
    (folder / "hosts").write_text(f"127.0.0.1 {HOST}\n")
    (folder / "inspector-root.pem").write_bytes(inspector.cert_pem.bytes())
    return folder / "inspector-root.pem"


def store_variable(store: str, inspector: Path) -> dict[str, str]:
    """The variable that makes a program trust the inspector; a folder holds one file for each, named by its hash."""
    if store != "SSL_CERT_DIR":
        return {store: str(inspector)}
    certificates = inspector.parent / "hashed"
    certificates.mkdir()
    shutil.copy(inspector, certificates)
    subprocess.run(["openssl", "rehash", certificates], check=True)
    return {store: str(certificates)}


def environment(home: Path, **more: str) -> dict[str, str]:
    names = {name.lower() for name in ENVIRONMENT}
    kept = {name: value for name, value in os.environ.items() if name.lower() not in names}
    return {**kept, "DEVICE_INSTALLER_HOME": str(home), **more}


async def doctor(url: str, variables: dict[str, str]) -> dict[str, dict[str, str]]:
    """What `doctor` finds, by subject."""
    command = [*PROGRAM, "doctor", "--json", *NO_ADAPTER, "--cloud", url]
    process = await asyncio.create_subprocess_exec(
        *command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    assert b"Traceback" not in err
    return {finding["subject"]: finding for finding in map(json.loads, out.splitlines())}


async def curl_trusts(url: str, variables: dict[str, str]) -> bool:
    process = await asyncio.create_subprocess_exec("curl", "-sS", "-o", "/dev/null", url, env=variables)
    return await asyncio.wait_for(process.wait(), SECONDS) == 0


async def test_microsocks_leads_to_the_cloud(tmp_path: Path) -> None:
    authority, server, port = trustme.CA(), HttpsServer(), free_port()
    root = save_certificate(authority, tmp_path)
    async with (
        listening(server, server_context(authority, ADDRESS)) as https,
        running(port, "microsocks", "-i", "127.0.0.1", "-p", str(port)),
    ):
        for scheme in ("socks5", "socks"):
            variables = environment(tmp_path, all_proxy=f"{scheme}://127.0.0.1:{port}/", SSL_CERT_FILE=str(root))
            found = await doctor(f"https://{ADDRESS}:{https}", variables)
            assert "all_proxy" in found["connection"]["text"]
            # It answers; only the application is missing.
            assert found["cloud"]["state"] == "warning", found["cloud"]
    assert len(server.requests) == 2


async def test_this_program_trusts_behind_squid_what_curl_trusts(tmp_path: Path) -> None:
    authority, server, port, folder = trustme.CA(), HttpsServer(), free_port(), tmp_path / "squid"
    folder.mkdir()
    save_certificate(authority, folder)
    inspector = prepare_squid(folder, port)
    async with (
        listening(server, server_context(authority, HOST)) as https,
        running(port, "squid", "-N", "-f", str(folder / "squid.conf")),
    ):
        url, behind = f"https://{HOST}:{https}", {"HTTPS_PROXY": f"http://127.0.0.1:{port}"}
        for store in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"):
            variables = environment(tmp_path, **behind, **store_variable(store, inspector))
            assert await curl_trusts(url, variables)
            found = (await doctor(url, variables))["cloud"]
            assert found["state"] == "warning", found  # it answers; only the application is missing

        variables = environment(tmp_path, **behind)
        assert not await curl_trusts(url, variables)
        found = (await doctor(url, variables))["cloud"]
        assert "a certificate of “Acme Inspection” that this computer does not trust" in found["text"]
        assert "SSL_CERT_FILE" in found["todo"]
