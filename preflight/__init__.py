"""preflight: may the deployment window open, and if not, who must do what by when?"""

__version__ = "0.1.0"
