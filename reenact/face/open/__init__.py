"""The open face stack: tracker, fit and drawing with free licences."""
