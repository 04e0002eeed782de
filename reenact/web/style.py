"""Colours, type and spacing of the page."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

CSS = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
SANS = ("ui-sans-serif", "system-ui", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace")
_ACCENT = gr.themes.Color(
    name="accent",
    c50="#eef6f5",
    c100="#d7e9e7",
    c200="#b1d4d1",
    c300="#84bab6",
    c400="#559b96",
    c500="#2b7d78",
    c600="#1f5f5b",
    c700="#1a504d",
    c800="#174a47",
    c900="#123a38",
    c950="#0b2524",
)


def theme() -> gr.themes.Base:
    """The fonts of the reader's own system: none is loaded."""
    return gr.themes.Base(
        primary_hue=_ACCENT,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_lg,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
        font=list(SANS),
        font_mono=list(MONO),
    ).set(
        body_background_fill="#f6f4f0",
        body_background_fill_dark="#171614",
        body_text_color="#23211e",
        body_text_color_dark="#ece8e1",
        body_text_color_subdued="#6d675f",
        body_text_color_subdued_dark="#a49d92",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_shadow="none",
        block_padding="0px",
        block_label_background_fill="#ffffffd0",
        block_info_text_color="*body_text_color_subdued",
        block_title_text_weight="600",
        input_background_fill="#faf9f6",
        input_background_fill_dark="#1d1b19",
        input_border_color="#e0dbd2",
        input_border_color_dark="#3a3632",
        border_color_primary="#e0dbd2",
        border_color_primary_dark="#3a3632",
        button_primary_background_fill="#1f5f5b",
        button_primary_background_fill_dark="#2b7d78",
        button_primary_background_fill_hover="#174a47",
        button_primary_background_fill_hover_dark="#34938d",
        button_primary_text_color="#ffffff",
        button_primary_border_color="transparent",
        button_secondary_background_fill="#efebe4",
        button_secondary_background_fill_dark="#2b2825",
        button_secondary_background_fill_hover="#e5dfd5",
        button_secondary_background_fill_hover_dark="#37332f",
        color_accent="#1f5f5b",
        checkbox_background_color_selected="#1f5f5b",
        checkbox_background_color_selected_dark="#2b7d78",
        slider_color="#1f5f5b",
        slider_color_dark="#2b7d78",
    )
