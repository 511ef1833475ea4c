"""What happens on our side of a calibration: read the checkout, make the request, start the runner."""
