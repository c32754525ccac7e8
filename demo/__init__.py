"""The main job on the local cloud, watched live in the terminal."""
