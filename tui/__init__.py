"""What a person sees and presses: the CLI, and the Textual app, screens, widgets and prompts."""
