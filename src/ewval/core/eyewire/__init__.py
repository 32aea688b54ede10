"""Eyewire's API and bucket: asked with care, read leniently into frozen values."""
