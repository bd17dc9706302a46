"""SCIM 2.0 (RFC 7643 and 7644) as identity providers really speak it: who is provisioned becomes the directory.

What an identity provider says of a person reaches the directory by the same way as an import, so the windows follow.
"""
