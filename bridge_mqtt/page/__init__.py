"""The pages of the bridge: its panels, and what each draws, holds and has answered."""
