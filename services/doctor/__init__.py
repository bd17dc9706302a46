"""What ``uptake doctor`` looks at: each check says what it found, or raises what is wrong."""
