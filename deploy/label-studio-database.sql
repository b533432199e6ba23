-- PostgreSQL runs this once, when its volume is new: Label Studio has a database of its own.
CREATE DATABASE label_studio;
