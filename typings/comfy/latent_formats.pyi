class SD15:
    scale_factor: float
