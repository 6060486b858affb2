"""Rate against cost, the cost on a logarithmic scale, as a drawing that needs no library."""

from __future__ import annotations

from math import log10


def plot(points: dict[str, tuple[float, float]], ours: str = "kiosk") -> str:
    """The drawing, as SVG.

    Args:
        points: Name → per cent read, and milliseconds for a picture without a code.
        ours: Which of them is red.
    """
    width, height, left, bottom = 640, 400, 60, 350
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<path d="M{left} 20V{bottom}H{width - 20}" fill="none" stroke="black"/>',
        f'<text x="{width // 2 - 130}" y="{height - 10}">ms for a picture without a code (logarithmic)</text>',
        '<text x="10" y="14">% read at 1280</text>',
    ]
    parts += [f'<text x="{left - 34}" y="{bottom - 3.2 * rate + 4:.0f}">{rate}</text>' for rate in range(0, 101, 20)]
    parts += [f'<text x="{_across(ms):.0f}" y="{bottom + 16}">{ms:g}</text>' for ms in (0.5, 1, 2, 5, 10, 20, 50, 100)]
    for name, (share, cost_ms) in points.items():
        x, y, colour = _across(cost_ms), bottom - 3.2 * share, "#c00" if name == ours else "#36c"
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{x + 8:.0f}" y="{y + 4:.0f}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _across(ms: float) -> float:
    return 80 + 200 * log10(max(0.4, ms) / 0.4)
