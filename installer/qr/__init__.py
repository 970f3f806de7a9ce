"""QR codes: reading, drawing, and what their text means."""
