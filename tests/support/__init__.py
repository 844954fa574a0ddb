"""What tests share. No test module imports another one."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
