"""The wizard's colours: one dark and one light theme, both with a contrast of 4.5 or more for every text."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="installer-dark",
    primary="#5cc8b4",
    secondary="#8fb0e8",
    accent="#f2bb66",
    warning="#f2bb66",
    error="#f58a86",
    success="#86d492",
    foreground="#e8ebf0",
    background="#12161d",
    surface="#1a202a",
    panel="#232b38",
    dark=True,
    variables={
        "muted": "#9fabbd",
        "line": "#54637a",
        "chosen": "#24424a",
        "footer-background": "#1a202a",
        "footer-key-foreground": "#5cc8b4",
        "footer-description-foreground": "#9fabbd",
        "input-selection-background": "#5cc8b4 35%",
        "block-cursor-background": "#5cc8b4",
        "block-cursor-foreground": "#12161d",
    },
)

LIGHT = Theme(
    name="installer-light",
    primary="#0b6b63",
    secondary="#2f5597",
    accent="#855000",
    warning="#855000",
    error="#b3261e",
    success="#17692f",
    foreground="#1b2330",
    background="#fbfaf7",
    surface="#f1efe9",
    panel="#e6e3da",
    dark=False,
    variables={
        "muted": "#545d6b",
        "line": "#9a9485",
        "chosen": "#cfe6e1",
        "footer-background": "#f1efe9",
        "footer-key-foreground": "#0b6b63",
        "footer-description-foreground": "#545d6b",
        "input-selection-background": "#0b6b63 30%",
        "block-cursor-background": "#0b6b63",
        "block-cursor-foreground": "#fbfaf7",
    },
)

# For other themes, which do not define these variables.
DEFAULT_VARIABLES = {"muted": "#9fabbd", "line": "#54637a", "chosen": "#24424a"}
