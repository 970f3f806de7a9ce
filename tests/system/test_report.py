"""The report in a real browser: on a phone it fits the width of the screen, and it prints."""

from __future__ import annotations

import base64
from pathlib import Path

from selenium.webdriver.common.print_page_options import PrintOptions

from installer.ledger import report
from installer.ledger.archive import Archive
from installer.ledger.query_types import Filter
from installer.ledger.records import Records
from tests.bench.ledger import fill
from tests.browser import chromium


def test_a_phone_and_a_printer_can_show_it(tmp_path: Path) -> None:
    records = Records(tmp_path / "ledger.sqlite")
    fill(records, 300)
    archive = Archive(records)
    file = tmp_path / "report.html"
    file.write_text(report.render(archive.statistics(Filter()), archive.failures(Filter(), 25)), "utf-8")
    records.close()
    with chromium(tmp_path) as browser:
        metrics = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(file.as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        assert base64.b64decode(browser.print_page(PrintOptions())).startswith(b"%PDF-")
        # Violations of its content security policy are in this log.
        assert [e["message"] for e in browser.get_log("browser")] == []
